"""A decoder's lexicon, senones and language model as the graph that WFST decoders search, made with kaldifst.

The steps are Kaldi's (Mohri, Pereira, Riley 2008): H ∘ min(det(C ∘ min(det(L ∘ G)))), determinised and minimised,
then the self loops. Costs are the scores of :mod:`asrdistill.decode.search` with the opposite sign, under the
decoder's scales, so the graph's best path is the best path of our search. An arc's input is a transition-id
(:func:`asrdistill.export.kaldi.hmm_states`), its output a word's number + 1; 0 is epsilon.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import kaldifst
import numpy as np

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.tree import SILENCE
from asrdistill.export.kaldi import hmm_states
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang

Arc = tuple[int, int, int, int, float]  # from, to, input, output, cost
State = tuple[int, int, int, int]  # of hmm_states


def compile_graph(lang: Lang, senones: Senones, decoder: Decoder, scale: float = 1.0) -> kaldifst.StdVectorFst:
    """HCLG of words that the language model knows; its costs are multiplied by `scale`."""
    backoff = len(senones.phones) + 1, len(lang.words) + 1  # #0 as a phone and as a word; #1, #2 … follow
    lexicon, disambiguation = _lexicon(lang, senones, decoder, backoff)
    graph = kaldifst.StdVectorFst(kaldifst.compose(lexicon, _grammar(decoder, backoff[1])))
    _reduce(graph)
    graph, windows = kaldifst.compose_context(list(disambiguation), 3, 1, graph)
    kaldifst.arcsort(graph, "ilabel")
    states = hmm_states(senones)
    graph = kaldifst.StdVectorFst(kaldifst.compose(_phones(windows, senones, states), graph))
    _reduce(graph)
    return _self_loops(graph, senones, states, scale)


def senones_of(senones: Senones) -> np.ndarray:
    """The senone of each transition-id, from 1."""
    return np.array(hmm_states(senones))[:, :1:-1].ravel()


def _reduce(graph: kaldifst.StdVectorFst) -> None:
    kaldifst.determinize_star(graph)
    kaldifst.minimize_encoded(graph)


def _fst(arcs: Iterable[Arc], finals: dict[int, float], sort: str = "ilabel") -> kaldifst.StdVectorFst:
    """The first arc leaves the start."""
    lines = [f"{a} {b} {i} {o} {cost:.7g}" for a, b, i, o, cost in arcs]
    lines += [f"{state} {cost:.7g}" for state, cost in finals.items()]
    graph = kaldifst.compile("\n".join(lines))
    kaldifst.arcsort(graph, sort)
    return graph


def _grammar(decoder: Decoder, backoff: int) -> kaldifst.StdVectorFst:
    """G: a word's number + 1 in and out; backing off takes #0 in and gives nothing out."""
    grammar, weight = decoder.grammar, decoder.options.lm_weight
    spoken = decoder.tree.leaf["word"] != SILENCE
    tokens, words = decoder.tree.leaf["token"][spoken].tolist(), (decoder.tree.leaf["word"][spoken] + 1).tolist()
    named = defaultdict[int, set[int]](set)  # several words may be the model's <unk>
    for token, word in zip(tokens, words, strict=True):
        named[token].add(word)
    arcs: list[Arc] = []
    finals: dict[int, float] = {}
    order = [grammar.start, *(state for state in range(len(grammar.backoff_state)) if state != grammar.start)]
    for state in order:
        for arc in range(grammar.arc_begin[state], grammar.arc_begin[state + 1]):
            token, cost = int(grammar.arc_token[arc]), -weight * float(grammar.arc_logprob[arc])
            if token == grammar.end:
                finals[state] = cost
            else:
                arcs += [(state, int(grammar.arc_next[arc]), word, word, cost) for word in sorted(named[token])]
        if state != 0:
            cost = -weight * float(grammar.backoff_logprob[state])
            arcs.append((state, int(grammar.backoff_state[state]), backoff, 0, cost))
    return _fst(arcs, finals)


def _lexicon(
    lang: Lang, senones: Senones, decoder: Decoder, backoff: tuple[int, int]
) -> tuple[kaldifst.StdVectorFst, range]:
    """L, phones in and words out, and its disambiguation symbols: #0, and #1, #2 … so that it can be determinised.

    START ─ no silence ─► BETWEEN ─ phones of a word ─► BETWEEN (no silence) or BEFORE ─ silence ─► BETWEEN
    """
    start, between, before, after = range(4)
    scales, weight = decoder.scales(), decoder.options.lm_weight
    number = {phone: index + 1 for index, phone in enumerate(senones.phones)}
    entries = [
        (index + 1, probability, tuple(number[phone] for phone in phones))
        for index, word in enumerate(lang.words)
        for probability, phones in lang.pronunciations[word]
    ]
    symbols = _disambiguate([phones for _, _, phones in entries])
    last = max(symbols) + 1  # follows silence
    arcs: list[Arc] = [
        (start, between, 0, 0, -scales.no_silence),
        (start, before, 0, 0, -scales.silence),
        (before, after, number[lang.silence], 0, 0.0),
        (after, between, backoff[0] + last, 0, 0.0),
        (between, between, *backoff, 0.0),
    ]
    states = 4
    for (word, probability, phones), symbol in zip(entries, symbols, strict=True):
        labels = [*phones, *([backoff[0] + symbol] if symbol else [])]
        cost = -weight * math.log(probability) - scales.insertion_penalty
        here = between
        for place, label in enumerate(labels):
            output = 0 if place else word
            if place + 1 < len(labels):
                arcs.append((here, states, label, output, 0.0 if place else cost))
                here, states = states, states + 1
            else:
                arcs.append((here, between, label, output, (0.0 if place else cost) - scales.no_silence))
                arcs.append((here, before, label, output, (0.0 if place else cost) - scales.silence))
    return _fst(arcs, {between: 0.0}, "olabel"), range(backoff[0], backoff[0] + last + 1)


def _disambiguate(pronunciations: list[tuple[int, ...]]) -> list[int]:
    """Which of #1, #2 … ends each pronunciation, or 0: those that others begin with, or that several words share."""
    shared = Counter(pronunciations)
    prefixes = {phones[:length] for phones in shared for length in range(1, len(phones))}
    used: Counter = Counter()
    symbols = []
    for phones in pronunciations:
        alone = shared[phones] == 1 and phones not in prefixes
        used[phones] += 0 if alone else 1
        symbols.append(0 if alone else used[phones])
    return symbols


def _phones(windows: list[list[int]], senones: Senones, states: list[State]) -> kaldifst.StdVectorFst:
    """H without self loops: ids that leave a state in, windows of three phones out; beyond both ends stands silence."""
    number = {state: 2 * index + 2 for index, state in enumerate(states)}
    arcs: list[Arc] = []
    nodes = 1
    for label, window in enumerate(windows[1:], 1):
        if len(window) == 1:  # a disambiguation symbol
            arcs.append((0, 0, 2 * len(states) + label, label, 0.0))
            continue
        left, phone, right = (max(number - 1, 0) for number in window)  # 0: beyond the end, silence
        found = senones.table[phone, senones.contexts[left], senones.contexts[right], : senones.lengths[phone]].tolist()
        short = (phone + 1, 0, *found)
        path = [short] if short in number else [(phone + 1, k, senone, senone) for k, senone in enumerate(found)]
        here = 0
        for place, state in enumerate(path):
            follows = nodes if place + 1 < len(path) else 0
            arcs.append((here, follows, number[state], 0 if place else label, 0.0))
            here, nodes = follows, nodes + (follows > 0)
    return _fst(arcs, {0: 0.0}, "olabel")


def _self_loops(
    graph: kaldifst.StdVectorFst, senones: Senones, states: list[State], scale: float
) -> kaldifst.StdVectorFst:
    """The graph with a self loop wherever a state ends, the transition probabilities, and no disambiguation symbols.

    A node into which several ids lead becomes one for each of them. Where later frames have another senone, a node of
    the first frame and one of the later ones lead to the node itself.
    """
    stay, leave = (-senones.self_loop).tolist(), (-senones.forward).tolist()
    arcs, finals = _listed(graph)
    number = {(graph.start, 0): 0}
    outgoing: dict[int, list[Arc]] = {}
    for arc in arcs:
        outgoing.setdefault(arc[0], []).append(arc)
    made: list[Arc] = []
    ends: dict[int, float] = {}
    reached = [(graph.start, 0)]

    def place(node: int, label: int) -> int:
        if (node, label) not in number:
            number[node, label] = len(number)
            reached.append((node, label))
        return number[node, label]

    for node, label in reached:
        here = number[node, label]
        first, later = states[(label - 1) // 2][2:] if label else (0, 0)
        if first != later:  # the id that leaves stands for the first frame, the other for later ones
            begun = label % 2 == 0
            loop = label - begun
            made.append((here, place(node, loop), loop, 0, stay[first if begun else later]))
            made.append((here, place(node, 0), 0, 0, leave[first if begun else later]))
            continue
        if label:
            made.append((here, here, label - 1, 0, stay[first]))
        if node in finals:
            ends[here] = finals[node]
        for _, target, label, output, cost in outgoing.get(node, []):
            label = 0 if label > 2 * len(states) else label
            first, later = states[(label - 1) // 2][2:] if label else (0, 1)
            made.append((here, place(target, label), label, output, cost + (leave[first] if first == later else 0.0)))
    return _fst([(*arc[:4], scale * arc[4]) for arc in made], {node: scale * cost for node, cost in ends.items()})


def _listed(graph: kaldifst.StdVectorFst) -> tuple[list[Arc], dict[int, float]]:
    arcs: list[Arc] = []
    finals: dict[int, float] = {}
    for line in graph.to_str(show_weight_one=True).splitlines():
        fields = line.split()
        if len(fields) == 5:
            arcs.append((*map(int, fields[:4]), float(fields[4])))  # type: ignore[arg-type]
        elif fields:
            finals[int(fields[0])] = float(fields[1])
    return arcs, finals
