"""A language model of given sentences alone, said one after the other in any order.

After the words so far all continuations are equally probable: each word that goes on with a sentence; and where one is
complete, each that begins one, together as probable as one word, and there the end of the utterance is one of them.
"""

from collections.abc import Sequence

import numpy as np

from asrdistill.decode.lm import Grammar
from asrdistill.decode.words import UNKNOWN

IMPOSSIBLE = -1e4  # ln P of other words: beyond every beam, but finite
UNKNOWN_PHONE = -2.0  # ln P of each phone of an unknown word


def sentence_grammar(sentences: Sequence[Sequence[str]]) -> tuple[Grammar, dict[str, int]]:
    """(the model, token of each word of the sentences, of which none is empty); ``[unk]`` may be said again and again.

    States are sets of places within sentences (the subset construction of Rabin and Scott 1959), state 0 that of the
    beginnings; a complete sentence backs off to it.
    """
    places: list[dict[str, int]] = [{}]  # a tree of the sentences
    complete = set()
    for sentence in sentences:
        place = 0
        for word in sentence:
            if word not in places[place]:
                places[place][word] = len(places)
                places.append({UNKNOWN: len(places)} if word == UNKNOWN else {})
            place = places[place][word]
        complete.add(place)
    words = sorted({word for sentence in sentences for word in sentence})
    tokens = {word: token for token, word in enumerate([*words, "<s>", "</s>"])}
    states: dict[frozenset[int], int] = {frozenset([0]): 0}
    arcs: list[dict[int, tuple[float, int]]] = []  # of each state: token -> (ln P, next state)
    back: list[float] = []
    for state in (queue := list(states)):
        free = bool(state & complete) or state == {0}
        onward: dict[str, set[int]] = {}
        for place in sorted(state):
            for word in places[place]:
                onward.setdefault(word, set())
        logprob = -float(np.log(len(onward) + free))
        for word, targets in onward.items():
            targets |= {places[place][word] for place in (state | {0} if free else state) if word in places[place]}
            after = frozenset(targets)
            if after not in states:
                states[after] = len(states)
                queue.append(after)
        arcs.append({tokens[word]: (logprob, states[frozenset(after)]) for word, after in onward.items()})
        back.append(logprob if free else IMPOSSIBLE)
    arcs[0] = {token: arcs[0].get(token, (IMPOSSIBLE, 0)) for token in range(len(tokens))}
    arcs[0][tokens["</s>"]] = back[0], 0
    rows = [(token, *arc) for arcs_of in arcs for token, arc in sorted(arcs_of.items())]
    token, logprobs, after_arc = (np.array(column) for column in zip(*rows, strict=True))
    back[0] = 0.0
    grammar = Grammar(
        start=0,
        end=tokens["</s>"],
        arc_begin=np.cumsum([0, *map(len, arcs)]),
        arc_token=token.astype(np.int32),
        arc_logprob=logprobs.astype(np.float32),
        arc_next=after_arc.astype(np.int32),
        backoff_logprob=np.array(back, np.float32),
        backoff_state=np.zeros(len(arcs), np.int32),
    )
    return grammar, tokens
