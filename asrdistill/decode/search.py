"""Frame-synchronous Viterbi search by token passing (Young, Russell, Thornton 1989), compiled.

A token is the best path into (tree node, language model state). Tokens of one state stand together
in a group, so whether a node already has a token in the group that is being filled is a look into
one array over nodes (a sparse set: Briggs and Torczon 1993), without hashing or sorting.

One frame:
1. Pass on: every token within the beam moves to its own node and its children, and the ends of
   words (or of silence) of the frame before enter the tree; where tokens meet, the better one stays.
2. Prune: the beam follows the best token; a histogram of scores keeps the number of tokens down.
3. Leave words: tokens in a word's last state make records, from which the words are read at the end.

A token's score holds lm_weight times its look-ahead in words, which is taken back where the word's
own probability is added, and its look-ahead in sound, which is taken back in the next frame; so
scores of whole paths are exact. :mod:`asrdistill.decode.lookahead` explains both.

All that is compiled stands in this one file: numba keeps what it compiled until the file changes,
but does not see changes in other files that it calls.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from asrdistill.decode.lm import Grammar
from asrdistill.decode.tree import SILENCE, Tree

# For functions that only look into arrays: counting references to these took longer than the search itself.
PLAIN: Any = {"cache": True, "_nrt": False}
BINS = 1024  # of the histogram that limits the number of tokens
END = -1e4  # look-ahead in sound of a senone in which no word can end, at the last frame
PARITY, GROUPS, TOKENS, RECORDS, BEST = range(5)  # places in Space.counts


class LookAhead(NamedTuple):
    """Best log-probability ahead for (state, look-ahead class); E entries of longer histories."""

    begin: np.ndarray  # (H + 1,) int64: entries of a state
    node: np.ndarray  # (E,) int32: look-ahead class, rising within a state
    value: np.ndarray  # (E,) float32
    base: np.ndarray  # (A,) float32: values of the empty history, for every class


class Scales(NamedTuple):
    """Beams are in the units of the acoustic score, natural logarithms."""

    beam: float
    word_end_beam: float
    max_active: int
    lm_weight: float
    insertion_penalty: float


class Space(NamedTuple):
    """Everything a search writes to: two sets of tokens and groups (this frame's and the next's), and records."""

    counts: np.ndarray  # (5,) int64: which set is current, how much of it and of the records is used, best token
    cutoff: np.ndarray  # (1,) float64: tokens below it are not passed on
    # tokens (2, capacity)
    node: np.ndarray  # int32
    score: np.ndarray  # float64, look-ahead included
    ahead: np.ndarray  # float32: the look-ahead
    back: np.ndarray  # int32: record of the word (or silence) before
    # groups (2, H): one for each language model state with tokens or with words that end in it
    state: np.ndarray  # int32
    begin: np.ndarray  # int32: its tokens are begin … end - 1
    end: np.ndarray  # int32
    root_ahead: np.ndarray  # float32: look-ahead of the root
    ended: np.ndarray  # (2, H, 2) int32: record of the best word end, of the best silence end
    ended_score: np.ndarray  # (2, H, 2) float64, without look-ahead
    # records (capacity)
    record_leaf: np.ndarray  # int32: leaf of the tree
    record_end: np.ndarray  # int32: frame after its last
    record_back: np.ndarray  # int32: record before it, -1 at the start
    record_score: np.ndarray  # float64: score of the path to here
    # look-up and scratch
    place: np.ndarray  # (N,) int32: where a node's token in the current group may be
    group_of: np.ndarray  # (H,) int32: where a state's group may be
    gain: np.ndarray  # (S,) float64: a frame's scores with the look-ahead in sound
    children: np.ndarray  # float32: look-ahead of a node's children
    histogram: np.ndarray  # (BINS,) int64


def allocate(tree: Tree, grammar: Grammar, senones: int, tokens: int = 1 << 16, records: int = 1 << 16) -> Space:
    """Room for a search, made once; :func:`enlarge` gives more where an utterance needs it."""
    nodes, states = len(tree.senone), len(grammar.backoff_state)
    records += 2 * states
    fan_out = max(tree.roots, int(np.diff(tree.child_begin).max()))
    return Space(
        counts=np.zeros(5, np.int64),
        cutoff=np.zeros(1),
        node=np.zeros((2, tokens), np.int32),
        score=np.zeros((2, tokens)),
        ahead=np.zeros((2, tokens), np.float32),
        back=np.zeros((2, tokens), np.int32),
        state=np.zeros((2, states), np.int32),
        begin=np.zeros((2, states), np.int32),
        end=np.zeros((2, states), np.int32),
        root_ahead=np.zeros((2, states), np.float32),
        ended=np.zeros((2, states, 2), np.int32),
        ended_score=np.zeros((2, states, 2)),
        record_leaf=np.zeros(records, np.int32),
        record_end=np.zeros(records, np.int32),
        record_back=np.zeros(records, np.int32),
        record_score=np.zeros(records),
        place=np.zeros(nodes, np.int32),
        group_of=np.zeros(states, np.int32),
        gain=np.zeros(senones),
        children=np.zeros(fan_out, np.float32),
        histogram=np.zeros(BINS, np.int64),
    )


def enlarge(space: Space) -> Space:
    """Twice the room for tokens and records; what stands in them is kept."""
    grown = {}
    for name in ("node", "score", "ahead", "back", "record_leaf", "record_end", "record_back", "record_score"):
        array = getattr(space, name)
        grown[name] = np.concatenate([array, np.zeros_like(array)], axis=-1)
    return space._replace(**grown)


@numba.njit(**PLAIN)
def start(grammar, look, space):
    """Begin an utterance: no tokens, and the path of no words has just ended in the state after <s>."""
    counts = space.counts
    counts[:] = 0
    space.cutoff[0] = -np.inf
    _open_group(grammar, look, space, grammar.start)
    space.ended[0, 0, 0] = -1
    space.ended_score[0, 0, 0] = 0.0


@numba.njit(**PLAIN)
def _open_group(grammar, look, space, state):
    """The place of the state's group in the current set; made, without tokens, where there is none."""
    counts = space.counts
    now = counts[PARITY]
    place = space.group_of[state]
    if place < counts[GROUPS] and space.state[now, place] == state:
        return place
    place = counts[GROUPS]
    counts[GROUPS] += 1
    space.group_of[state] = place
    space.state[now, place] = state
    space.begin[now, place] = space.end[now, place] = 0
    look_ahead(grammar, look, state, 0, 1, space.children)
    space.root_ahead[now, place] = space.children[0]
    space.ended_score[now, place, :] = -np.inf
    return place


@numba.njit(**PLAIN)
def advance(tree, grammar, look, space, scales, loglikes, outlook, between, frame):
    """Search on from `frame` through loglikes (T, S) float32; returns T, or the frame for which room ran out.

    `outlook` (T, S) and `between` (T,) are the look-ahead in sound.
    """
    counts = space.counts
    while frame < len(loglikes):
        if counts[RECORDS] + 2 * space.state.shape[1] > len(space.record_leaf):
            return frame
        for s in range(loglikes.shape[1]):
            space.gain[s] = np.float64(loglikes[frame, s]) + outlook[frame, s]
        best = _pass_on(tree, grammar, look, space, scales, outlook[max(frame - 1, 0)])
        if best == np.inf:
            return frame
        _prune(space, scales, best)
        beam = scales.word_end_beam if frame + 1 < len(loglikes) else np.inf  # whatever ends at the end is welcome
        _leave_words(tree, grammar, look, space, scales, outlook[frame], between[frame], best - beam, frame + 1)
        frame += 1
    return frame


@numba.njit(**PLAIN)
def _pass_on(tree, grammar, look, space, scales, outlook):
    """Fill the next set with the successors of the current one; returns the best score.

    `outlook` (S,) is the look-ahead in sound that the current tokens' scores hold. Where there is
    no room for all successors it returns infinity and leaves the current set as it was.
    """
    counts, cutoff = space.counts, space.cutoff[0]
    now = counts[PARITY]
    new = 1 - now
    node, score, ahead, back = space.node[now], space.score[now], space.ahead[now], space.back[now]
    tokens = (space.place, space.node[new], space.score[new], space.ahead[new], space.back[new])
    beam, lm_weight, children, gain = scales.beam, scales.lm_weight, space.children, space.gain
    room = len(node) - len(children) - 1
    best, best_place, count, groups = -np.inf, 0, 0, 0
    if counts[TOKENS] > 0:  # the best token's self loop is a first bound, so that the beam bites from the start
        n = node[counts[BEST]]
        best = score[counts[BEST]] - outlook[tree.senone[n]] + tree.self_loop[n] + gain[tree.senone[n]]
    loudest_root = -np.inf
    for n in range(1, tree.roots):
        loudest_root = max(loudest_root, gain[tree.senone[n]])
    for group in range(counts[GROUPS]):
        first, state = count, space.state[now, group]
        for token in range(space.begin[now, group], space.end[now, group]):
            if score[token] < cutoff:
                continue
            if count > room:
                return np.inf
            n = node[token]
            base = score[token] - outlook[tree.senone[n]]
            value = base + tree.self_loop[n] + gain[tree.senone[n]]
            if value >= best - beam:
                count = _put(tokens, first, count, n, value, ahead[token], back[token])
                if value >= best:
                    best, best_place = value, space.place[n]
            child, last = tree.child_begin[n], tree.child_begin[n + 1]
            if child == last:
                continue
            base += tree.forward[n]
            if tree.look[child] == tree.look[n]:  # the only child, and the same words ahead
                value = base + gain[tree.senone[child]]
                if value >= best - beam:
                    count = _put(tokens, first, count, child, value, ahead[token], back[token])
                    if value >= best:
                        best, best_place = value, space.place[child]
                continue
            loudest = gain[tree.senone[child]]
            for k in range(child + 1, last):
                loudest = max(loudest, gain[tree.senone[k]])
            if base + loudest < best - beam:  # what is ahead of a child is at best what is ahead of n
                continue
            look_ahead(grammar, look, state, tree.look[child], last - child, children)
            for k in range(last - child):
                value = base + lm_weight * (children[k] - ahead[token]) + gain[tree.senone[child + k]]
                if value >= best - beam:
                    count = _put(tokens, first, count, child + k, value, children[k], back[token])
                    if value >= best:
                        best, best_place = value, space.place[child + k]
        if count > room:
            return np.inf
        word, silence = space.ended_score[now, group, 0], space.ended_score[now, group, 1]
        coming = space.root_ahead[now, group]
        value = word + lm_weight * coming + gain[tree.senone[0]]  # silence may follow a word, or the start
        if value > -np.inf and value >= best - beam:
            count = _put(tokens, first, count, 0, value, coming, space.ended[now, group, 0])
            if value >= best:
                best, best_place = value, space.place[0]
        base, origin = max(word, silence), space.ended[now, group, 0 if word >= silence else 1]
        base += scales.insertion_penalty
        if base > -np.inf and base + lm_weight * coming + loudest_root >= best - beam:
            look_ahead(grammar, look, state, 0, tree.roots, children)
            for n in range(1, tree.roots):
                value = base + lm_weight * children[n] + gain[tree.senone[n]]
                if value >= best - beam:
                    count = _put(tokens, first, count, n, value, children[n], origin)
                    if value >= best:
                        best, best_place = value, space.place[n]
        if count > first:
            space.group_of[state] = groups
            space.state[new, groups] = state
            space.begin[new, groups], space.end[new, groups] = first, count
            space.root_ahead[new, groups] = coming
            space.ended_score[new, groups, :] = -np.inf
            groups += 1
    counts[PARITY], counts[GROUPS], counts[TOKENS], counts[BEST] = new, groups, count, best_place
    return best


@numba.njit(inline="always", **PLAIN)
def _put(tokens, first, count, n, value, coming, origin):
    """Bring a token to node n of the group that begins at `first`; returns how many tokens there are then."""
    place, node, score, ahead, back = tokens
    p = place[n]
    if first <= p < count and node[p] == n:  # there is one already, with the same look-ahead
        if value > score[p]:
            score[p], back[p] = value, origin
        return count
    place[n] = count
    node[count], score[count], ahead[count], back[count] = n, value, coming, origin
    return count + 1


@numba.njit(**PLAIN)
def _prune(space, scales, best):
    """Set the cutoff to the beam, or higher where more than max_active tokens would stay."""
    now, count = space.counts[PARITY], space.counts[TOKENS]
    space.cutoff[0] = best - scales.beam
    if count <= scales.max_active:
        return
    score, histogram, width = space.score[now], space.histogram, scales.beam / BINS
    histogram[:] = 0
    for token in range(count):
        place = int((best - score[token]) / width)
        if place < BINS:
            histogram[place] += 1
    kept = 0
    for place in range(BINS):
        kept += histogram[place]
        if kept > scales.max_active:
            space.cutoff[0] = best - width * max(place, 1)
            return


@numba.njit(**PLAIN)
def _leave_words(tree, grammar, look, space, scales, outlook, between, cutoff, frame):
    """Record the words (and silences) that end before `frame`, the best one for each state that they lead to.

    `outlook` (S,) is the look-ahead in sound inside of words, `between` that after a word's end;
    words whose score with look-ahead is below the cutoff are dropped.
    """
    counts = space.counts
    now, groups = counts[PARITY], counts[GROUPS]
    node, score, ahead, back = space.node[now], space.score[now], space.ahead[now], space.back[now]
    for group in range(groups):
        state = space.state[now, group]
        for token in range(space.begin[now, group], space.end[now, group]):
            n = node[token]
            if tree.leaf_begin[n] == tree.leaf_begin[n + 1] or score[token] < space.cutoff[0]:
                continue
            leaving = score[token] - outlook[tree.senone[n]] + tree.forward[n]
            if leaving + between < cutoff:  # what is ahead of a word's end is at best what is ahead of the word
                continue
            for leaf in range(tree.leaf_begin[n], tree.leaf_begin[n + 1]):
                value, place, silence = leaving - scales.lm_weight * ahead[token], group, 1
                if tree.leaf_word[leaf] != SILENCE:
                    logprob, following = next_word(grammar, state, tree.leaf_token[leaf])
                    value += scales.lm_weight * (logprob + tree.leaf_logprob[leaf])
                    if value + between < cutoff:
                        continue
                    place, silence = _open_group(grammar, look, space, following), 0
                reach = value + between + scales.lm_weight * space.root_ahead[now, place]
                if reach >= cutoff and value > space.ended_score[now, place, silence]:
                    _record(space, place, silence, leaf, value, back[token], frame)


@numba.njit(**PLAIN)
def _record(space, group, silence, leaf, value, origin, frame):
    now = space.counts[PARITY]
    if space.ended_score[now, group, silence] == -np.inf:
        space.ended[now, group, silence] = space.counts[RECORDS]
        space.counts[RECORDS] += 1
    record = space.ended[now, group, silence]
    space.ended_score[now, group, silence] = value
    space.record_leaf[record], space.record_end[record] = leaf, frame
    space.record_back[record], space.record_score[record] = origin, value


@numba.njit(**PLAIN)
def finish(tree, grammar, space, scales, outlook):
    """(last record, score with </s>, whether a word or silence ended with the last frame).

    Where none did, the best token's last record and the score up to now.
    """
    counts = space.counts
    now = counts[PARITY]
    best, record = -np.inf, -1
    for group in range(counts[GROUPS]):
        for silence in range(2):
            value = space.ended_score[now, group, silence]
            if value > -np.inf:
                value += scales.lm_weight * next_word(grammar, space.state[now, group], grammar.end)[0]
                if value > best:
                    best, record = value, space.ended[now, group, silence]
    if best > -np.inf or counts[TOKENS] == 0:
        return record, best, best > -np.inf
    token = counts[BEST]
    score = space.score[now, token] - outlook[tree.senone[space.node[now, token]]]
    return space.back[now, token], score - scales.lm_weight * space.ahead[now, token], False


# What the search asks of the language model and of what lies ahead


@numba.njit(**PLAIN)
def find(values, begin, end, wanted):
    """First position in the rising values[begin:end] whose value is not below `wanted`."""
    while begin < end:
        middle = (begin + end) >> 1
        if values[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    return begin


@numba.njit(**PLAIN)
def next_word(grammar, state, token):
    """(ln P(token | state), the state after it), by back-off where there is no arc."""
    weight = 0.0
    while state != 0:
        end = grammar.arc_begin[state + 1]
        arc = find(grammar.arc_token, grammar.arc_begin[state], end, token)
        if arc < end and grammar.arc_token[arc] == token:
            return weight + grammar.arc_logprob[arc], grammar.arc_next[arc]
        weight += grammar.backoff_logprob[state]
        state = grammar.backoff_state[state]
    return weight + grammar.arc_logprob[token], grammar.arc_next[token]


@numba.njit(**PLAIN)
def look_ahead(grammar, look, state, first, count, out):
    """out[k] = best log-probability ahead of class first + k after `state`, for k < count."""
    weight = 0.0
    out[:count] = -np.inf
    while state != 0:
        end = look.begin[state + 1]
        entry = find(look.node, look.begin[state], end, first)
        while entry < end and look.node[entry] < first + count:
            place = look.node[entry] - first
            out[place] = max(out[place], weight + look.value[entry])
            entry += 1
        weight += grammar.backoff_logprob[state]
        state = grammar.backoff_state[state]
    for k in range(count):
        out[k] = max(out[k], weight + look.base[first + k])


@numba.njit(cache=True)
def spread(grammar, parent, leaf_begin, leaf_look, leaf_logprob):
    """Spread each arc's probability from the leaves of its token towards the root, keeping the best."""
    classes, states = len(parent), len(grammar.backoff_state)
    base = np.full(classes, -np.inf, np.float32)
    for token in range(grammar.arc_begin[1]):
        for leaf in range(leaf_begin[token], leaf_begin[token + 1]):
            value, node = grammar.arc_logprob[token] + leaf_logprob[leaf], leaf_look[leaf]
            while node >= 0 and base[node] < value:
                base[node] = value
                node = parent[node]
    best = np.full(classes, -np.inf, np.float32)
    touched = np.empty(classes, np.int32)
    begin = np.zeros(states + 1, np.int64)
    nodes, values = np.empty(1024, np.int32), np.empty(1024, np.float32)
    look = LookAhead(begin, nodes, values, base)
    backed_off = np.empty(1, np.float32)
    for state in range(1, states):  # shorter histories first, so the one to back off to is ready
        count = 0
        for arc in range(grammar.arc_begin[state], grammar.arc_begin[state + 1]):
            token = grammar.arc_token[arc]
            for leaf in range(leaf_begin[token], leaf_begin[token + 1]):
                value, node = grammar.arc_logprob[arc] + leaf_logprob[leaf], leaf_look[leaf]
                while node >= 0 and best[node] < value:
                    if best[node] == -np.inf:
                        touched[count] = node
                        count += 1
                    best[node] = value
                    node = parent[node]
        end = begin[state]
        if end + count > len(nodes):
            nodes = np.append(nodes, np.empty(len(nodes) + count, np.int32))
            values = np.append(values, np.empty(len(values) + count, np.float32))
            look = LookAhead(begin, nodes, values, base)
        touched[:count].sort()
        for node in touched[:count]:
            look_ahead(grammar, look, grammar.backoff_state[state], node, 1, backed_off)
            if best[node] > grammar.backoff_logprob[state] + backed_off[0]:
                nodes[end], values[end] = node, best[node]
                end += 1
            best[node] = -np.inf
        begin[state + 1] = end
    return begin, nodes[: begin[states]].copy(), values[: begin[states]].copy(), base


@numba.njit(cache=True)
def outlook(successors, loglikes):
    """Look-ahead in sound for loglikes (T, S): (T, S) after being in a senone, (T,) after the end of a word.

    Both float32, relative to the frame's best senone. A Viterbi search backwards through the loop
    of senones, with transition probabilities but without a language model.
    """
    frames, senones = loglikes.shape
    ahead, between = np.zeros((frames, senones), np.float32), np.zeros(frames, np.float32)
    best = np.empty(senones)
    ahead[frames - 1] = END
    for s in successors.end:
        ahead[frames - 1, s] = successors.forward[s]
    for t in range(frames - 2, -1, -1):
        word = -np.inf
        for s in successors.start:
            word = max(word, loglikes[t + 1, s] + ahead[t + 1, s])
        for s in range(senones):
            best[s] = -np.inf
        for s in successors.end:
            best[s] = word
        for k in range(len(successors.source)):
            s, following = successors.source[k], successors.target[k]
            best[s] = max(best[s], loglikes[t + 1, following] + ahead[t + 1, following])
        top = -np.inf
        for s in range(senones):
            stay = successors.self_loop[s] + loglikes[t + 1, s] + ahead[t + 1, s]
            best[s] = max(stay, successors.forward[s] + best[s])
            top = max(top, best[s])
        for s in range(senones):
            ahead[t, s] = best[s] - top
        between[t] = word - top
    return ahead, between
