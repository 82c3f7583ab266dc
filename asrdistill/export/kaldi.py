"""Write a network and its HMMs in Kaldi's formats: final.mdl, as text or binary, and tree, phones.txt, fbank.conf.

After Kaldi's sources (nnet3/nnet-nnet.cc, nnet-simple-component.cc, am-nnet-simple.cc, hmm/transition-model.cc,
hmm-topology.cc, tree/event-map.cc). The text is checked against that format; Kaldi's code reads the binary form in
Vosk (asrdistill/export/vosk.py).
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from asrdistill.features.options import FbankOptions, options_of
from asrdistill.files import atomic, write_text
from asrdistill.hmm.senones import SIDES, Senones, Tree, side_of
from asrdistill.lang.lexicon import root_of
from asrdistill.models.folder import read_arrays
from asrdistill.models.layout import pad
from asrdistill.models.native import NativeModel
from asrdistill.reader import read_text, reading

# What natural gradient training starts from where someone goes on training; Kaldi's own defaults.
_TRAINING = ("<MaxChange>", 0.75, "<LearningRate>", 0.001)
_GRADIENT = ("<UpdatePeriod>", 4, "<NumSamplesHistory>", 2000.0, "<Alpha>", 4.0)

Item = str | int | float | np.ndarray
Rows = tuple[np.ndarray, int]  # (T, C), and the frame that the first row is of


class Node(NamedTuple):
    """A node of nnet3, and its component."""

    name: str
    source: str
    component: Sequence[Item]


class Writer:
    """Tokens, numbers (int32 and float32), vectors and matrices, as text or binary; a line break is for text alone."""

    def __init__(self, file: IO[bytes], binary: bool = False):
        self.file, self.binary = file, binary
        self.raw(b"\0B" * binary)

    def raw(self, content: bytes) -> None:
        self.file.write(content)

    def put(self, *items: Item) -> None:
        for item in items:
            if isinstance(item, str):
                self.raw(f"{item} ".encode() if item != "\n" else b"" if self.binary else b"\n")
            elif self.binary:
                self._put_binary(item)
            elif isinstance(item, np.ndarray) and item.ndim == 2:
                self.raw(f" [{''.join(f'{chr(10)}  {_row(row)} ' for row in item)}]\n".encode())
            else:
                text = f"[ {_row(item)} ]\n" if isinstance(item, np.ndarray) else f"{_number(item)} "
                self.raw(text.encode())

    def _put_binary(self, item: int | float | np.ndarray) -> None:
        if isinstance(item, np.ndarray):
            self.put("FM" if item.ndim == 2 else "FV", *item.shape)
            self.raw(item.astype("<f4").tobytes())
        else:
            self.raw(struct.pack("<bi" if isinstance(item, int) else "<bf", 4, item))

    def integers(self, values: Sequence[int]) -> None:
        """A vector of integers, in binary alone."""
        self.raw(struct.pack(f"<bi{len(values)}i", 4, len(values), *values))


def _number(value: int | float) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)  # enough digits for the same float32


def _row(values: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values.tolist())


def write_kaldi(folder: Path, senones: Senones, meta: dict[str, Any], prior_floor: float, out: Path) -> None:
    """Write the network of a model folder into an existing one; priors below `prior_floor` count as it, as in ours."""
    numbers = {phone: number for number, phone in enumerate(senones.phones, 1)}  # 0 is <eps>
    model = NativeModel(folder, senones, meta)
    with atomic(out / "final.mdl", "wb") as file:
        write_model(Writer(file), model, senones, prior_floor, [_normalise(model)])
    event_map = "".join(_event_map(senones, numbers))
    write_text(out / "tree", f"ContextDependency 3 1 ToPdf {event_map}EndContextDependency ")
    write_text(out / "phones.txt", "".join(f"{phone} {n}\n" for phone, n in {"<eps>": 0, **numbers}.items()))
    write_text(out / "fbank.conf", fbank_conf(options_of(meta["features"])))


def write_model(out: Writer, model: NativeModel, senones: Senones, prior_floor: float, front: list[Node]) -> None:
    """final.mdl: the HMMs of `senones`, and the network, whose normalised frames are the last node of `front`."""
    _write_hmms(out, senones)
    nodes = [*front, *_nodes(model, front[-1].name)]
    out.put("<Nnet3>")
    lines = [f"input-node name=input dim={front[0].component[1].shape[1]}"]  # type: ignore[union-attr]
    lines += [f"component-node name={name} component={name} input={source}" for name, source, _ in nodes]
    lines += [f"output-node name=output input={nodes[-1].name} objective=linear"]
    out.raw("".join(f"{line}\n" for line in ["", *lines, ""]).encode())  # Kaldi wants nothing but a space before it
    out.put("<NumComponents>", len(nodes), "\n")
    for name, _, component in nodes:
        out.put("<ComponentName>", name, *component, "\n")
    left, right = model.context
    out.put("</Nnet3>", "<LeftContext>", left, "<RightContext>", right)
    out.put("<Priors>", np.maximum(model.priors, prior_floor))


def fbank_conf(options: FbankOptions, dither: float = 0.0) -> str:
    settings = {
        "sample-frequency": options.rate,
        "num-mel-bins": options.bins,
        "low-freq": options.low,
        "high-freq": options.high,
        "frame-length": options.frame_length,
        "frame-shift": options.frame_shift,
        "preemphasis-coefficient": options.preemphasis,
        "snip-edges": str(options.snip_edges).lower(),
        "dither": f"{dither:g}",
        "window-type": "povey",
        "use-energy": "false",
    }
    return "".join(f"--{name}={value}\n" for name, value in settings.items())


def _nodes(model: NativeModel, x: str) -> list[Node]:
    """Nodes of a network whose normalised frames are the node `x`, in the order of its steps."""
    arrays, made = read_arrays(model.path), list[Node]()
    width, rate, kept, kept_rate = model.dimension, 1, x, 1
    weight = arrays[f"{model.steps[0].name}.weight"]
    begin = -model.context[0]
    offsets: Sequence[int] = range(begin, begin + weight.shape[1] // width)  # of the frames that a layer takes

    def add(name: str, source: str, component: Sequence[Item]) -> str:
        made.append(Node(name, source, component))
        return name

    for kind, name, step, place in model.steps:
        if kind == "keep":
            kept, kept_rate = x, rate
        elif kind == "relu":
            x = add(f"{x}.relu", x, _simple("RectifiedLinear", width))
        elif kind == "delayed":
            scales = [add(f"{name}.{k}", x, fixed_scale(row)) for k, row in enumerate(arrays[name])]
            delayed = (_at(scale, k * place * rate) for k, scale in enumerate(scales))
            x, rate = add(name, f"Sum({', '.join(delayed)})", no_op(width)), rate * step
        elif kind == "pair":  # the narrow layer's halves are those of one layer over two frames
            _, before, _ = made.pop()
            weight, offsets = np.hstack(np.split(weight, 2)), (0, place * rate)
            x, width, rate = add(x, _append(before, offsets), _affine(weight)), len(weight), rate * step
        else:
            weight = arrays[f"{name}.weight"]
            x = add(f"{name}.affine", _append(x, offsets), _affine(weight, arrays.get(f"{name}.bias")))
            width, offsets = len(weight), (0,)
            if kind == "add":
                x = add(f"{name}.sum", f"Sum({x}, {_at(kept, place * kept_rate)})", no_op(width))
            else:
                rate *= step
            if model.layers[name].struct.relu:
                x = add(f"{name}.relu", x, _simple("RectifiedLinear", width))
    add("log-softmax", x, _simple("LogSoftmax", width))
    return made


def _at(name: str, frame: int) -> str:
    return f"Offset({name}, {frame})" if frame else name


def _append(name: str, offsets: Sequence[int]) -> str:
    parts = [_at(name, frame) for frame in offsets]
    return parts[0] if len(parts) == 1 else f"Append({', '.join(parts)})"


def _normalise(model: NativeModel) -> Node:
    scale = 1 / model.std.astype(np.float64)
    return Node("normalise", "input", fixed_affine(np.diag(scale), -model.mean * scale))


def fixed_affine(weight: np.ndarray, bias: np.ndarray) -> list[Item]:
    kind = "FixedAffineComponent>"
    return [f"<{kind} <LinearParams>", weight, "<BiasParams>", bias, f"</{kind}"]


def _affine(weight: np.ndarray, bias: np.ndarray | None = None) -> list[Item]:
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    ranks = ("<RankIn>", min(20, weight.shape[1] - 1), "<RankOut>", min(80, len(weight) - 1))
    parameters = ("<LinearParams>", weight, "<BiasParams>", bias)
    kind = "NaturalGradientAffineComponent>"
    return [f"<{kind}", *_TRAINING, *parameters, *ranks, *_GRADIENT, f"</{kind}"]


def _simple(kind: str, dimension: int) -> list[Item]:
    counts = ("<Count>", 0.0, "<NumDimsSelfRepaired>", 0.0, "<NumDimsProcessed>", 0.0)
    statistics = ("<ValueAvg>", np.empty(0), "<DerivAvg>", np.empty(0))
    return [f"<{kind}Component>", "<Dim>", dimension, *statistics, *counts, f"</{kind}Component>"]


def fixed_scale(scales: np.ndarray) -> list[Item]:
    return ["<FixedScaleComponent>", "<Scales>", scales, "</FixedScaleComponent>"]


def no_op(dimension: int) -> list[Item]:
    return ["<NoOpComponent>", "<Dim>", dimension, "<BackpropScale>", 1.0, "</NoOpComponent>"]


def hmm_states(senones: Senones) -> list[tuple[int, int, int, int]]:
    """Phone (from 1), state, senone of its first frame and of later ones, sorted.

    Number n of them, from 0, has the transition-ids 2 n + 1 (stay) and 2 n + 2 (leave). At a low frame rate phones
    of two states are one here, whose later frames have another senone.
    """
    found = set()
    for phone, length in enumerate(senones.lengths.tolist()):
        rows = np.unique(senones.table[phone].reshape(-1, senones.table.shape[-1])[:, :length], axis=0).tolist()
        if _is_short(senones, length):
            found |= {(phone + 1, 0, first, later) for first, later in rows}
        else:
            found |= {(phone + 1, state, row[state], row[state]) for row in rows for state in range(length)}
    return sorted(found)


def _is_short(senones: Senones, length: int) -> bool:
    return senones.subsampling > 1 and length == 2


def _write_hmms(out: Writer, senones: Senones) -> None:
    """Topology, the states that there are, and the log probabilities to stay and to go on in each."""
    entries = []  # phones; of each state its classes of pdfs and where it leads to
    for length in sorted(set(senones.lengths.tolist())):
        phones = (np.flatnonzero(senones.lengths == length) + 1).tolist()
        states = [(0, 1)] if _is_short(senones, length) else [(state, state) for state in range(length)]
        moves = [[(state, 0.75), (state + 1, 0.25)] for state in range(len(states))]
        entries.append((phones, [*zip(states, moves, strict=True)]))
    is_hmm = all(first == later for _, states in entries for (first, later), _ in states)
    out.put("<TransitionModel>", "\n", "<Topology>", "\n")
    _write_topology(out, entries, is_hmm)
    out.put("</Topology>", "\n")
    tuples, kind = hmm_states(senones), "Triples>" if is_hmm else "Tuples>"
    out.put(f"<{kind}", len(tuples), "\n")
    for each in tuples:
        out.put(*each[: 3 if is_hmm else 4], "\n")
    later = [senone for *_, senone in tuples]
    logs = np.stack([senones.self_loop[later], senones.forward[later]], axis=1).ravel()
    out.put(f"</{kind}", "\n", "<LogProbs>", "\n", np.append(0.0, logs))
    out.put("</LogProbs>", "\n", "</TransitionModel>", "\n")


def _write_topology(out: Writer, entries: list[tuple[list[int], list[Any]]], is_hmm: bool) -> None:
    if out.binary:
        places = {phone: place for place, (phones, _) in enumerate(entries) for phone in phones}
        out.integers(sorted(places))
        out.integers([-1, *(places[phone] for phone in sorted(places))])
        out.put(*[] if is_hmm else [-1], len(entries))
        for _, states in entries:
            out.put(len(states) + 1)
            for classes, moves in [*states, ((-1, -1), [])]:
                out.put(*classes[: 1 if is_hmm else 2], len(moves), *(part for move in moves for part in move))
        return
    for phones, states in entries:
        out.put("<TopologyEntry>", "\n", "<ForPhones>", "\n", *phones, "\n", "</ForPhones>", "\n")
        for number, ((first, later), moves) in enumerate(states):
            pair = ["<PdfClass>", first] if is_hmm else ["<ForwardPdfClass>", first, "<SelfLoopPdfClass>", later]
            transitions = [part for move in moves for part in ("<Transition>", *move)]
            out.put("<State>", number, *pair, *transitions, "</State>", "\n")
        out.put("<State>", len(states), "</State>", "\n", "</TopologyEntry>", "\n")


def _of_phone(tree: Tree, phone: str) -> Tree:
    """The tree with its questions about the phone itself answered."""
    if not isinstance(tree, dict):
        return tree
    side = side_of(tree)
    if side == "centre":
        return _of_phone(tree["yes" if phone in tree[side].split() else "no"], phone)
    return {side: tree[side], "yes": _of_phone(tree["yes"], phone), "no": _of_phone(tree["no"], phone)}


def _event_map(senones: Senones, numbers: dict[str, int]) -> Iterator[str]:
    """By the phone in the middle (key 1), then by its state (key -1), then by the questions about neighbours."""
    yield f"TE 1 {len(numbers) + 1} ( NULL "
    for phone in senones.phones:
        trees = senones.states[root_of(phone)]
        yield f"TE -1 {len(trees)} ( "
        for tree in trees:
            yield _questions(_of_phone(tree, phone), numbers)
        yield ") \n"
    yield ") \n"


def _questions(tree: Tree, numbers: dict[str, int]) -> str:
    if not isinstance(tree, dict):
        return f"CE {tree} "
    side = side_of(tree)
    asked = sorted(numbers[phone] for phone in tree[side].split())
    asked = [0, *asked] if asked[0] == 1 else asked  # beyond the ends Kaldi sees phone 0, we see silence
    yes, no = (_questions(tree[answer], numbers) for answer in ("yes", "no"))
    return f"SE {SIDES.index(side)} [ {' '.join(map(str, asked))} ]\n{{ {yes}{no}}} \n"


class Nnet3:
    """The nodes of a final.mdl that :func:`write_model` wrote as text, run in numpy; UserError for another file."""

    def __init__(self, path: Path, subsampling: int = 1):
        text, self.subsampling = read_text(path), subsampling
        with reading(path, "export again"):
            lines, text = text[text.index("<Nnet3>") :].split("\n\n", 1)
            components, _, end = text.partition("</Nnet3>")
            made = {part.split(None, 1)[0]: _component(part) for part in components.split("<ComponentName>")[1:]}
            nodes = re.findall(r"component-node name=(\S+) component=(\S+) input=(.*)", lines)
            self.nodes = [(name, source, made[component]) for name, component, source in nodes]
            self.dimension = int(lines.split("dim=")[1].split()[0])
            _, left, _, right, *_ = end.split()
            self.context = int(left), int(right)
            if not (min(self.context) >= 0 and sum(self.context) < 10_000):
                raise ValueError(f"context {self.context}")
            self.log_posteriors(np.zeros((1, self.dimension), np.float32))  # shapes fit

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T', S) float32"""
        found = {"input": (pad(features, self.context), -self.context[0])}
        for name, source, component in self.nodes:
            rows, first = _collect(source, found)
            found[name] = component(rows), first
        rows, first = found[name]
        return rows[-first : len(features) - first : self.subsampling]


def _collect(source: str, found: dict[str, Rows]) -> Rows:
    """What a descriptor takes, in the frames that all its parts have."""
    parts = []
    for offset, frame, name in re.findall(r"Offset\(([^,]+), (-?\d+)\)|([\w.-]+)(?![\w.(-])", source):
        rows, first = found[offset or name]
        parts.append((rows, first - int(frame or 0)))
    begin = max(first for _, first in parts)
    end = min(first + len(rows) for rows, first in parts)
    taken = [rows[begin - first : end - first] for rows, first in parts]
    return (sum(taken) if source.startswith("Sum") else np.concatenate(taken, axis=1)), begin  # type: ignore[return-value]


def _mapped(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return x @ weight.T + bias


def _log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


def _component(text: str) -> Callable[[np.ndarray], np.ndarray]:
    """Function (T, in) -> (T, out) of a component."""
    kind = text.split(None, 2)[1]
    if kind in ("<FixedAffineComponent>", "<NaturalGradientAffineComponent>"):
        rows = text[text.index("<LinearParams>") + 14 : text.index("<BiasParams>")].strip(" []\n").split("\n")
        weight = np.array([row.split() for row in rows], np.float32)
        bias = np.array(text[text.index("<BiasParams>") :].split("]")[0].split()[2:], np.float32)
        return partial(_mapped, weight=weight, bias=bias)
    if kind == "<FixedScaleComponent>":
        return partial(np.multiply, np.array(text.split("[")[1].split("]")[0].split(), np.float32))
    if kind == "<NoOpComponent>":
        return np.positive
    if kind == "<RectifiedLinearComponent>":
        return partial(np.maximum, 0)
    if kind == "<LogSoftmaxComponent>":
        return _log_softmax
    raise ValueError(kind)
