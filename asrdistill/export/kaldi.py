"""Write a network and its HMMs in Kaldi's text formats: final.mdl, tree, phones.txt, fbank.conf.

After Kaldi's sources (nnet3/nnet-nnet.cc, nnet-simple-component.cc, am-nnet-simple.cc, hmm/transition-model.cc,
hmm-topology.cc, tree/event-map.cc); checked against that format, not with Kaldi's binaries.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from asrdistill.features.options import options_of
from asrdistill.files import write_text
from asrdistill.hmm.senones import SIDES, Senones, Tree, leaves, side_of
from asrdistill.lang.lexicon import root_of
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.dnn import Dnn
from asrdistill.models.network import pad
from asrdistill.reader import read_text, reading

# What natural gradient training starts from where someone goes on training; Kaldi's own defaults.
_TRAINING = "<MaxChange> 0.75 <LearningRate> 0.001 "
_GRADIENT = "<UpdatePeriod> 4 <NumSamplesHistory> 2000 <Alpha> 4 "


def write_kaldi(model: AcousticModel, prior_floor: float, folder: Path) -> None:
    """Write a :class:`Dnn` into an existing folder; priors below `prior_floor` count as it, as in our decoder."""
    assert isinstance(model.module, Dnn)
    senones = model.senones
    numbers = {phone: number for number, phone in enumerate(senones.phones, 1)}  # 0 is <eps>
    with open(folder / "final.mdl", "w", encoding="utf-8") as file:
        file.writelines(_transition_model(senones))
        file.writelines(_nnet3(model.module))
        left, right = model.context
        priors = np.maximum(model.priors, prior_floor)
        file.write(f"<LeftContext> {left} <RightContext> {right} <Priors>  {_vector(priors)}")
    event_map = "".join(_event_map(senones, numbers))
    write_text(folder / "tree", f"ContextDependency 3 1 ToPdf {event_map}EndContextDependency ")
    write_text(folder / "phones.txt", "".join(f"{phone} {n}\n" for phone, n in {"<eps>": 0, **numbers}.items()))
    options = options_of(model.meta["features"])
    fbank = {
        "sample-frequency": options.rate,
        "num-mel-bins": options.bins,
        "low-freq": options.low,
        "high-freq": options.high,
        "frame-length": options.frame_length,
        "frame-shift": options.frame_shift,
        "preemphasis-coefficient": options.preemphasis,
        "snip-edges": str(options.snip_edges).lower(),
        "dither": 0,
        "window-type": "povey",
        "use-energy": "false",
    }
    write_text(folder / "fbank.conf", "".join(f"--{name}={value}\n" for name, value in fbank.items()))


def _nnet3(module: Dnn) -> Iterator[str]:
    """The nodes, a line each, up to an empty line; then the components by name."""
    left, right = module.context
    frames = ", ".join(f"Offset(normalise, {t})" if t else "normalise" for t in range(-left, right + 1))
    steps = [("normalise", "input", _normalise(module))]
    before = f"Append({frames})"
    for number, layer in enumerate(module.hidden, 1):
        steps.append((f"hidden{number}.affine", before, _affine(layer)))
        steps.append((f"hidden{number}.relu", steps[-1][0], _simple("RectifiedLinear", layer.out_features)))  # type: ignore[arg-type]
        before = steps[-1][0]
    steps.append(("output.affine", before, _affine(module.output)))
    steps.append(("output.log-softmax", "output.affine", _simple("LogSoftmax", module.output.out_features)))
    yield "<Nnet3> \n"  # Kaldi wants the space, and then the rest of the line empty
    yield f"input-node name=input dim={len(module.mean)}\n"
    for name, source, _ in steps:
        yield f"component-node name={name} component={name} input={source}\n"
    yield f"output-node name=output input={steps[-1][0]} objective=linear\n\n"
    yield f"<NumComponents> {len(steps)} \n"
    for name, _, component in steps:
        yield f"<ComponentName> {name} {component}"
    yield "</Nnet3> "


def _normalise(module: Dnn) -> str:
    scale = 1 / module.std.numpy().astype(np.float64)
    parameters = _parameters(np.diag(scale), -module.mean.numpy() * scale)
    return f"<FixedAffineComponent> {parameters}</FixedAffineComponent> \n"


def _affine(layer: Any) -> str:
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    ranks = f"<RankIn> {min(20, weight.shape[1] - 1)} <RankOut> {min(80, weight.shape[0] - 1)} "
    settings = f"{_TRAINING}{_parameters(weight, bias)}{ranks}{_GRADIENT}"
    return f"<NaturalGradientAffineComponent> {settings}</NaturalGradientAffineComponent> \n"


def _simple(kind: str, dimension: int) -> str:
    empty = "<ValueAvg>  [ ]\n<DerivAvg>  [ ]\n<Count> 0 <NumDimsSelfRepaired> 0 <NumDimsProcessed> 0 "
    return f"<{kind}Component> <Dim> {dimension} {empty}</{kind}Component> \n"


def _parameters(weight: np.ndarray, bias: np.ndarray) -> str:
    rows = "".join(f"\n  {_row(row)} " for row in weight)
    return f"<LinearParams>  [{rows}]\n<BiasParams>  {_vector(bias)}"


def _vector(values: np.ndarray) -> str:
    return f"[ {_row(values)} ]\n"


def _row(values: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values.tolist())  # enough digits for the same float32


def _transition_model(senones: Senones) -> Iterator[str]:
    """Topology, the (phone, state, pdf) that there are, and the log probabilities to stay and to go on in each."""
    yield "<TransitionModel> \n<Topology> \n"
    for length in sorted(set(senones.lengths.tolist())):
        phones = (np.flatnonzero(senones.lengths == length) + 1).tolist()
        yield f"<TopologyEntry> \n<ForPhones> \n{' '.join(map(str, phones))} \n</ForPhones> \n"
        for state in range(length):
            moves = f"<Transition> {state} 0.75 <Transition> {state + 1} 0.25"
            yield f"<State> {state} <PdfClass> {state} {moves} </State> \n"
        yield f"<State> {length} </State> \n</TopologyEntry> \n"
    states = [
        (number, state, pdf)
        for number, phone in enumerate(senones.phones, 1)
        for state, tree in enumerate(senones.states[root_of(phone)])
        for pdf in sorted(set(leaves(_of_phone(tree, phone))))
    ]
    yield f"</Topology> \n<Triples> {len(states)} \n"
    yield from (f"{number} {state} {pdf} \n" for number, state, pdf in states)
    pdfs = [pdf for *_, pdf in states]
    logs = np.stack([senones.self_loop[pdfs], senones.forward[pdfs]], axis=1).ravel()
    yield f"</Triples> \n<LogProbs> \n {_vector(np.append(0.0, logs))}</LogProbs> \n</TransitionModel> \n"


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
    """The components of final.mdl, in the order of :func:`write_kaldi`, run in numpy; UserError for another file."""

    def __init__(self, path: Path):
        text = read_text(path)
        with reading(path, "export again"):
            components, _, end = text.partition("</Nnet3>")
            self.normalise, *self.layers = map(_component, components.split("<ComponentName>")[1:])
            _, left, _, right, *_ = end.split()
            self.context = int(left), int(right)
            if not (min(self.context) >= 0 and sum(self.context) < 10_000):
                raise ValueError(f"context {self.context}")
            self.log_posteriors(np.zeros((1, self.normalise.keywords["weight"].shape[1]), np.float32))  # shapes fit

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32"""
        frames = self.normalise(pad(features, self.context))
        x = np.concatenate([frames[t : t + len(features)] for t in range(1 + sum(self.context))], axis=1)
        for layer in self.layers:
            x = layer(x)
        return x


def _mapped(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return x @ weight.T + bias


def _component(text: str) -> partial[np.ndarray]:
    """Function (T, in) -> (T, out) of a component."""
    kind = text.split(None, 2)[1]
    if kind in ("<FixedAffineComponent>", "<NaturalGradientAffineComponent>"):
        rows = text[text.index("<LinearParams>") + 14 : text.index("<BiasParams>")].strip(" []\n").split("\n")
        weight = np.array([row.split() for row in rows], np.float32)
        bias = np.array(text[text.index("<BiasParams>") :].split("]")[0].split()[2:], np.float32)
        return partial(_mapped, weight=weight, bias=bias)
    if kind == "<RectifiedLinearComponent>":
        return partial(np.maximum, 0)
    if kind == "<LogSoftmaxComponent>":
        return partial(log_softmax, axis=1)
    raise ValueError(kind)
