"""Kaldi's transition models and decision trees in text form.

Alignments are transition-ids, counted from 1, which a transition model (the head of final.mdl) maps to phone, HMM state
and pdf; pdfs become senones. The file `tree` is needed if pdfs depend on the context.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError, shorten
from asrdistill.hmm.senones import START_SELF_LOOP, Senones, Tree, leaves
from asrdistill.lang.lexicon import root_of
from asrdistill.reader import parse_lines


@dataclass(frozen=True)
class TransitionModel:
    """Arrays indexed by transition-id; [0] is unused.

    phone, state, pdf   source HMM state; pdf of the frame
    place               global number of this HMM state
    target              target HMM state, -1 at the end of the phone
    loop                whether it is a self loop
    classes             phone -> pdf class of each of its HMM states
    """

    path: Path
    phone: np.ndarray
    state: np.ndarray
    pdf: np.ndarray
    place: np.ndarray
    target: np.ndarray
    loop: np.ndarray
    classes: dict[int, list[int]]

    def segments(self, ids: np.ndarray, utterance: str, source: Path) -> np.ndarray:
        """First frames of the phones of transition-ids (T,), with self loops after ("reordered") or before the exit.

        Raises UserError unless the ids are a path through this model's HMMs.
        """
        if len(ids) and not 0 < ids.min() <= ids.max() < len(self.phone):
            raise UserError(
                f"{source}: utterance {utterance} has the transition-id {ids.max()}, but {self.path} ends at "
                f"{len(self.phone) - 1}; give the model that made the alignment"
            )
        loop, place = self.loop[ids], self.place[ids]
        out = np.flatnonzero(~loop)  # one per state of the path
        if _reordered(loop, place):
            owner = np.cumsum(~loop) - 1
            begins = out
        else:
            owner = np.cumsum(~loop) - ~loop
            begins = np.concatenate([[0], out[:-1] + 1])
        state, target, phone = (array[ids[out]] for array in (self.state, self.target, self.phone))
        ends = target < 0
        sound = len(out) > 0 and bool(ends[-1]) and state[0] == 0 and owner.min() >= 0 and owner.max() < len(out)
        sound = sound and np.array_equal(place[out][owner], place)
        sound = sound and np.array_equal(np.where(ends, 0, target)[:-1], state[1:])
        sound = sound and bool(np.all(ends[:-1] | (phone[:-1] == phone[1:])))
        if not sound:
            raise UserError(
                f"{source}: utterance {utterance} is not a path through the HMMs of {self.path}; "
                "give the model that made the alignment"
            )
        return begins[np.concatenate([[True], ends[:-1]])]


def read_transitions(path: Path) -> TransitionModel:
    """Read the transition model at the head of a Kaldi model in text form.

    Raises UserError for a binary model (with the command that converts it) or another file.
    """
    tokens = _tokens(path, "</TransitionModel>", "gmm-copy --binary=false final.mdl final.txt")
    try:
        _expect(tokens, "<TransitionModel>")
        topology = _topology(tokens)
        form = next(tokens)
        columns = {"<Triples>": 3, "<Tuples>": 4}[form]
        states = [[int(next(tokens)) for _ in range(columns)] for _ in range(int(next(tokens)))]
        _expect(tokens, form.replace("<", "</"))
        rows = [(0, 0, 0, -1, 0, False)]
        for place, (phone, state, forward, *own) in enumerate(states):
            for target in topology[phone][state].targets:
                pdf = own[0] if own and target == state else forward
                last = target == len(topology[phone]) - 1
                rows.append((phone, state, pdf, place, -1 if last else target, target == state))
    except (StopIteration, ValueError, KeyError, IndexError):
        raise UserError(f"{path} is not a whole Kaldi model in text form; make it again with gmm-copy") from None
    phone, state, pdf, place, target, loop = np.array(rows).T
    classes = {number: [state.pdf_class for state in hmm[:-1]] for number, hmm in topology.items()}
    return TransitionModel(path, phone, state, pdf, place, target, loop.astype(bool), classes)


def read_symbols(path: Path) -> dict[int, str]:
    """Number -> phone of a phones.txt, without <eps> and disambiguation symbols."""

    def parse(line: str) -> tuple[int, str]:
        symbol, number = line.split()
        return int(number), symbol

    pairs = parse_lines(path, parse, "phone number")
    symbols = {number: symbol for number, symbol in pairs if number and not symbol.startswith("#")}
    if not symbols:
        raise UserError(f"{path} names no phones; give Kaldi's lang folder")
    return symbols


def senones_of(model: TransitionModel, symbols: dict[int, str], silence: str, tree: Path | None) -> Senones:
    """Inventory with Kaldi's pdfs as senones and its trees; without `tree` pdfs must not depend on the context.

    Raises UserError for a phone without name, another model's tree, and chain models (two pdfs per state).
    """
    if missing := sorted(set(model.classes) - set(symbols)):
        raise UserError(f"{model.path} has phones that phones.txt lacks: {shorten(missing)}; give its own lang folder")
    pdfs: dict[tuple[int, int], set[int]] = {}
    transitions = np.stack([model.phone, model.state, model.pdf, model.place], axis=1)[1:].tolist()
    for phone, state, pdf, _ in transitions:
        pdfs.setdefault((phone, state), set()).add(pdf)
    if len({(place, pdf) for *_, pdf, place in transitions}) > model.place.max() + 1:
        raise UserError(f"{model.path} has states of two pdfs (a chain model); give another model's alignment")
    question = _read_tree(tree, symbols) if tree else None
    roots: dict[str, list[list[tuple[str, Tree]]]] = {}
    for phone in sorted(model.classes):
        name = symbols[phone]
        states: list[list[tuple[str, Tree]]] = roots.setdefault(root_of(name), [[] for _ in model.classes[phone]])
        for state, pdf_class in enumerate(model.classes[phone]):
            answer: Tree = min(pdfs[phone, state])
            if question:
                answer = question(phone, pdf_class)
                if not pdfs[phone, state] <= set(leaves(answer)):
                    raise UserError(f"{tree} is not the tree of {model.path}: they differ in {name}; give its own")
            elif len(pdfs[phone, state]) > 1:
                raise UserError(
                    f"{model.path}: {name} has other pdfs in other contexts; give the tree in text form "
                    "(copy-tree --binary=false tree tree.txt) with --tree"
                )
            states[state].append((name, answer))
    phones = [silence, *(symbols[phone] for phone in sorted(model.classes) if symbols[phone] != silence)]
    inventory = {root: [_by_centre(state) for state in states] for root, states in roots.items()}
    if not all(isinstance(tree, int) for tree in inventory.get(silence, [None])):
        raise UserError(f"{model.path}: the silence {silence} must be a phone of the model, the same in all contexts")
    return Senones(phones, inventory, np.full(int(model.pdf.max()) + 1, np.log(START_SELF_LOOP)))


def _by_centre(answers: list[tuple[str, Tree]]) -> Tree:
    """One tree for the phones of one root."""
    (_, first), *_ = answers
    same = [name for name, tree in answers if tree == first]
    others = [(name, tree) for name, tree in answers if tree != first]
    return {"centre": " ".join(same), "yes": first, "no": _by_centre(others)} if others else first


def _reordered(loop: np.ndarray, place: np.ndarray) -> bool:
    """Whether self loops come after the transition out of their state."""
    for change in np.flatnonzero(place[:-1] != place[1:]):
        if loop[change] or loop[change + 1]:
            return bool(loop[change])
    return len(loop) > 0 and bool(loop[-1]) and not loop[0]  # one state, or no self loop


class _State(NamedTuple):
    pdf_class: int  # -1: emits nothing
    targets: list[int]


def _topology(tokens: Iterator[str]) -> dict[int, list[_State]]:
    """phone -> its HMM states, the last of which emits nothing."""
    topology: dict[int, list[_State]] = {}
    _expect(tokens, "<Topology>")
    while (token := next(tokens)) != "</Topology>":
        if token != "<TopologyEntry>":
            raise ValueError(token)
        _expect(tokens, "<ForPhones>")
        phones = [int(phone) for phone in iter(lambda: next(tokens), "</ForPhones>")]
        states: list[_State] = []
        while (token := next(tokens)) != "</TopologyEntry>":
            if token != "<State>" or int(next(tokens)) != len(states):
                raise ValueError(token)
            pdf_class, targets = -1, list[int]()
            while (token := next(tokens)) != "</State>":
                if token in ("<PdfClass>", "<ForwardPdfClass>"):
                    pdf_class = int(next(tokens))
                elif token == "<SelfLoopPdfClass>":
                    next(tokens)
                elif token == "<Transition>":
                    targets.append(int(next(tokens)))
                    float(next(tokens))
                else:
                    raise ValueError(token)
            states.append(_State(pdf_class, targets))
        topology.update(dict.fromkeys(phones, states))
    return topology


def _read_tree(path: Path, symbols: dict[int, str]) -> Any:
    """A function (phone, pdf class) -> our tree over the neighbours, from Kaldi's tree in text form."""
    tokens = _tokens(path, "EndContextDependency", "copy-tree --binary=false tree tree.txt")
    try:
        _expect(tokens, "ContextDependency")
        _, centre = int(next(tokens)), int(next(tokens))
        _expect(tokens, "ToPdf")
        root = _event_map(tokens, next(tokens))
        _expect(tokens, "EndContextDependency")
    except (StopIteration, ValueError, KeyError):
        raise UserError(f"{path} is not a whole Kaldi tree in text form; make it again with copy-tree") from None

    def translate(node: Any, known: dict[int, int]) -> Tree:
        """`known` answers the questions about the phone itself and the pdf class (key -1)."""
        if isinstance(node, int):
            return node
        kind, key, asked, *branches = node
        if kind == "TE":
            if key not in known or known[key] >= len(asked) or asked[known[key]] is None:
                raise UserError(f"{path} has no pdf for a phone that the model has; give the model's own tree")
            return translate(asked[known[key]], known)
        if key in known:
            return translate(branches[known[key] not in asked], known)
        side = {centre - 1: "left", centre + 1: "right"}.get(key)
        if side is None:
            raise UserError(f"{path} asks about phones beyond the neighbours; a triphone tree is wanted")
        yes, no = (translate(branch, known) for branch in branches)
        names = " ".join(symbols[phone] for phone in sorted(asked) if phone in symbols)
        return {side: names, "yes": yes, "no": no} if names and yes != no else no

    return lambda phone, pdf_class: translate(root, {centre: phone, -1: pdf_class})


def _event_map(tokens: Iterator[str], kind: str) -> Any:
    """int, ("TE", key, children) or ("SE", key, set, yes, no) from what follows the token `kind`."""
    if kind == "CE":
        return int(next(tokens))
    if kind == "NULL":
        return None
    key = int(next(tokens))
    if kind == "TE":
        size = int(next(tokens))
        _expect(tokens, "(")
        children = [_event_map(tokens, next(tokens)) for _ in range(size)]
        _expect(tokens, ")")
        return "TE", key, children
    if kind != "SE":
        raise ValueError(kind)
    _expect(tokens, "[")
    asked = {int(phone) for phone in iter(lambda: next(tokens), "]")}
    _expect(tokens, "{")
    yes = _event_map(tokens, next(tokens))
    no = _event_map(tokens, next(tokens))
    _expect(tokens, "}")
    return "SE", key, asked, yes, no


def _tokens(path: Path, last: str, conversion: str) -> Iterator[str]:
    """The words of a text file up to `last`; raises UserError that tells how to convert a binary one."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; check the path")
    with open(path, "rb") as handle:
        if handle.read(2) == b"\0B":
            raise UserError(f"{path} is in Kaldi's binary form; convert it with {conversion}")
        handle.seek(0)
        for line in handle:
            for token in line.decode(errors="replace").split():
                yield token
                if token == last:
                    return


def _expect(tokens: Iterable[str], wanted: str) -> None:
    if (found := next(iter(tokens))) != wanted:
        raise ValueError(found)
