"""A decoder's lexicon, senones and language model as the graph that WFST decoders search, made with kaldifst.

The steps are Kaldi's (Mohri, Pereira, Riley 2008): H ∘ min(det(C ∘ min(det(L ∘ G)))), determinised and minimised,
then the self loops. Costs are the scores of :mod:`asrdistill.decode.search` with the opposite sign, under the
decoder's scales, so the graph's best path is the best path of our search. An arc's input is a senone's number + 1,
its output a word's + 1; 0 is epsilon.
"""

import math
from collections import Counter
from collections.abc import Iterable

import kaldifst

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.tree import SILENCE
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang

Arc = tuple[int, int, int, int, float]  # from, to, input, output, cost


def compile_graph(lang: Lang, senones: Senones, decoder: Decoder) -> kaldifst.StdVectorFst:
    """HCLG of words that the language model knows."""
    backoff = len(senones.phones) + 1, len(lang.words) + 1  # #0 as a phone and as a word; #1, #2 … follow
    lexicon, disambiguation = _lexicon(lang, senones, decoder, backoff)
    graph = kaldifst.StdVectorFst(kaldifst.compose(lexicon, _grammar(decoder, backoff[1])))
    _reduce(graph)
    graph, windows = kaldifst.compose_context(list(disambiguation), 3, 1, graph)
    kaldifst.arcsort(graph, "ilabel")
    graph = kaldifst.StdVectorFst(kaldifst.compose(_phones(windows, senones), graph))
    _reduce(graph)
    return _self_loops(graph, senones)


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
    word = dict(zip(tokens, words, strict=True))
    arcs: list[Arc] = []
    finals: dict[int, float] = {}
    order = [grammar.start, *(state for state in range(len(grammar.backoff_state)) if state != grammar.start)]
    for state in order:
        for arc in range(grammar.arc_begin[state], grammar.arc_begin[state + 1]):
            token, cost = int(grammar.arc_token[arc]), -weight * float(grammar.arc_logprob[arc])
            if token == grammar.end:
                finals[state] = cost
            elif token in word:
                arcs.append((state, int(grammar.arc_next[arc]), word[token], word[token], cost))
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


def _phones(windows: list[list[int]], senones: Senones) -> kaldifst.StdVectorFst:
    """H without self loops: senones in, windows of three phones out; beyond both ends stands silence."""
    arcs: list[Arc] = []
    states = 1
    for label, window in enumerate(windows[1:], 1):
        if len(window) == 1:  # a disambiguation symbol
            arcs.append((0, 0, senones.count + label, label, 0.0))
            continue
        here = 0
        left, phone, right = (max(number - 1, 0) for number in window)  # 0: beyond the end, silence
        found = senones.table[phone, senones.contexts[left], senones.contexts[right], : senones.lengths[phone]].tolist()
        for place, senone in enumerate(found):
            follows = states if place + 1 < len(found) else 0
            arcs.append((here, follows, senone + 1, 0 if place else label, 0.0))
            here, states = follows, states + (follows > 0)
    return _fst(arcs, {0: 0.0}, "olabel")


def _self_loops(graph: kaldifst.StdVectorFst, senones: Senones) -> kaldifst.StdVectorFst:
    """The graph with a self loop wherever a senone ends, the transition probabilities, and no disambiguation symbols.

    A state into which several senones lead becomes one for each of them.
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
    for state, senone in reached:
        here = number[state, senone]
        if senone:
            made.append((here, here, senone, 0, stay[senone - 1]))
        if state in finals:
            ends[here] = finals[state]
        for _, target, label, output, cost in outgoing.get(state, []):
            label = 0 if label > senones.count else label
            key = target, label
            if key not in number:
                number[key] = len(number)
                reached.append(key)
            made.append((here, number[key], label, output, cost + (leave[label - 1] if label else 0.0)))
    return _fst(made, ends)


def _listed(graph: kaldifst.StdVectorFst) -> tuple[list[Arc], dict[int, float]]:
    arcs, finals = [], {}
    for line in graph.to_str(show_weight_one=True).splitlines():
        fields = line.split()
        if len(fields) == 5:
            arcs.append((*map(int, fields[:4]), float(fields[4])))
        elif fields:
            finals[int(fields[0])] = float(fields[1])
    return arcs, finals
