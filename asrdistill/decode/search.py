"""Frame-synchronous Viterbi search by token passing (Young, Russell, Thornton 1989), compiled.

A token is the best path into (tree node, language model state). Tokens of one state stand together
in a group, so whether a node already has a token in the group that is being filled is a look into
one array over nodes (a sparse set: Briggs and Torczon 1993), without hashing or sorting.

One frame:
1. Pass on: every token within the beam moves to its own node and its children, and the ends of
   words (or of silence) of the frame before enter the tree; where tokens meet, the better one stays.
2. Prune: the beam follows the best token; a histogram of scores keeps the number of tokens down.
3. Leave words: tokens in a word's last state make records, from which the words are read at the end.

A token's score holds lm_weight times its look-ahead, which is taken back where the word's own
probability is added, so scores of whole paths are exact.
"""

from typing import NamedTuple

import numba
import numpy as np

from asrdistill.decode.lm import Grammar, next_word
from asrdistill.decode.lookahead import look_ahead
from asrdistill.decode.tree import SILENCE, Tree

BINS = 1024  # of the histogram that limits the number of tokens
# Places in Space.counts
PARITY, GROUPS, TOKENS, RECORDS, ROOM, BEST = range(6)


class Scales(NamedTuple):
    """Beams are in the units of the acoustic score, natural logarithms."""

    beam: float
    word_end_beam: float
    max_active: int
    lm_weight: float
    insertion_penalty: float


class Space(NamedTuple):
    """Everything a search writes to: two sets of tokens and groups (this frame's and the next's), and records."""

    counts: np.ndarray  # (6,) int64: which set is current, how much of it is used, room for the next frame, best token
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
        counts=np.zeros(6, np.int64),
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


@numba.njit(cache=True)
def start(grammar, look, space):
    """Begin an utterance: no tokens, and the path of no words has just ended in the state after <s>."""
    counts = space.counts
    counts[:] = 0
    counts[ROOM] = len(space.children)
    space.cutoff[0] = -np.inf
    _open_group(grammar, look, space, grammar.start)
    space.ended[0, 0, 0] = -1
    space.ended_score[0, 0, 0] = 0.0


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def advance(tree, grammar, look, space, scales, loglikes, outlook, between, frame):
    """Search on from `frame` through loglikes (T, S) float32; returns T, or the frame at which room ran out.

    `outlook` (T, S) and `between` (T,) are the look-ahead in sound.
    """
    counts = space.counts
    while frame < len(loglikes):
        full = counts[RECORDS] + 2 * space.state.shape[1] > len(space.record_leaf)
        if full or counts[ROOM] > space.node.shape[1]:
            return frame
        for s in range(loglikes.shape[1]):
            space.gain[s] = loglikes[frame, s] + outlook[frame, s]
        best = _pass_on(tree, grammar, look, space, scales, outlook[max(frame - 1, 0)])
        _prune(space, scales, best)
        _leave_words(tree, grammar, look, space, scales, outlook[frame], between[frame], best, frame + 1)
        frame += 1
    return frame


@numba.njit(cache=True)
def _pass_on(tree, grammar, look, space, scales, outlook):
    """Fill the next set with the successors of the current one; returns the best score.

    `outlook` (S,) is the look-ahead in sound that the current tokens' scores hold.
    """
    counts, cutoff = space.counts, space.cutoff[0]
    now = counts[PARITY]
    new = 1 - now
    node, score, ahead, back = space.node[now], space.score[now], space.ahead[now], space.back[now]
    tokens = (space.place, space.node[new], space.score[new], space.ahead[new], space.back[new])
    beam, lm_weight, children, gain = scales.beam, scales.lm_weight, space.children, space.gain
    best, count, groups = -np.inf, 0, 0
    if counts[TOKENS] > 0:  # the best token's self loop is a first bound, so that the beam bites from the start
        n = node[counts[BEST]]
        best = score[counts[BEST]] - outlook[tree.senone[n]] + tree.self_loop[n] + gain[tree.senone[n]]
    for group in range(counts[GROUPS]):
        first, state = count, space.state[now, group]
        for token in range(space.begin[now, group], space.end[now, group]):
            if score[token] < cutoff:
                continue
            n = node[token]
            base = score[token] - outlook[tree.senone[n]]
            value = base + tree.self_loop[n] + gain[tree.senone[n]]
            if value >= best - beam:
                best = value if value > best else best
                count = _put(tokens, first, count, n, value, ahead[token], back[token])
            child, last = tree.child_begin[n], tree.child_begin[n + 1]
            if child == last:
                continue
            base += tree.forward[n]
            if tree.look[child] == tree.look[n]:  # the only child, and the same words ahead
                value = base + gain[tree.senone[child]]
                if value >= best - beam:
                    best = value if value > best else best
                    count = _put(tokens, first, count, child, value, ahead[token], back[token])
                continue
            look_ahead(grammar, look, state, tree.look[child], last - child, children)
            for k in range(last - child):
                value = base + lm_weight * (children[k] - ahead[token]) + gain[tree.senone[child + k]]
                if value >= best - beam:
                    best = value if value > best else best
                    count = _put(tokens, first, count, child + k, value, children[k], back[token])
        word, silence = space.ended_score[now, group, 0], space.ended_score[now, group, 1]
        if word > -np.inf:  # silence may follow a word (or the start), not silence
            coming = space.root_ahead[now, group]
            value = word + lm_weight * coming + gain[tree.senone[0]]
            if value >= best - beam:
                best = value if value > best else best
                count = _put(tokens, first, count, 0, value, coming, space.ended[now, group, 0])
        base, origin = max(word, silence), space.ended[now, group, 0 if word >= silence else 1]
        if base > -np.inf:
            base += scales.insertion_penalty
            look_ahead(grammar, look, state, 0, tree.roots, children)
            for n in range(1, tree.roots):
                value = base + lm_weight * children[n] + gain[tree.senone[n]]
                if value >= best - beam:
                    best = value if value > best else best
                    count = _put(tokens, first, count, n, value, children[n], origin)
        if count > first:
            space.group_of[state] = groups
            space.state[new, groups] = state
            space.begin[new, groups], space.end[new, groups] = first, count
            space.root_ahead[new, groups] = space.root_ahead[now, group]
            space.ended_score[new, groups, :] = -np.inf
            groups += 1
    counts[PARITY], counts[GROUPS], counts[TOKENS] = new, groups, count
    return best


@numba.njit(cache=True, inline="always")
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


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _leave_words(tree, grammar, look, space, scales, outlook, between, best, frame):
    """Record the words (and silences) that end before `frame`, the best one for each state that they lead to."""
    counts, cutoff = space.counts, max(space.cutoff[0], best - scales.word_end_beam)
    now, groups = counts[PARITY], counts[GROUPS]
    node, score, ahead, back = space.node[now], space.score[now], space.ahead[now], space.back[now]
    room = 0
    for group in range(groups):
        state = space.state[now, group]
        for token in range(space.begin[now, group], space.end[now, group]):
            if score[token] < space.cutoff[0]:
                continue
            if score[token] == best:
                counts[BEST] = token
            n = node[token]
            room += 1 + tree.child_begin[n + 1] - tree.child_begin[n]
            if score[token] < cutoff:
                continue
            for leaf in range(tree.leaf_begin[n], tree.leaf_begin[n + 1]):
                value = score[token] - outlook[tree.senone[n]] + tree.forward[n] - scales.lm_weight * ahead[token]
                place, silence = group, 1
                if tree.leaf_word[leaf] != SILENCE:
                    logprob, following = next_word(grammar, state, tree.leaf_token[leaf])
                    value += scales.lm_weight * (logprob + tree.leaf_logprob[leaf])
                    if value + between < cutoff:  # what is ahead can only lower it
                        continue
                    place, silence = _open_group(grammar, look, space, following), 0
                reach = value + between + scales.lm_weight * space.root_ahead[now, place]
                if reach >= cutoff and value > space.ended_score[now, place, silence]:
                    _record(space, place, silence, leaf, value, back[token], frame)
    for group in range(counts[GROUPS]):
        if space.ended_score[now, group, 0] > -np.inf or space.ended_score[now, group, 1] > -np.inf:
            room += tree.roots
    counts[ROOM] = room


@numba.njit(cache=True)
def _record(space, group, silence, leaf, value, origin, frame):
    now = space.counts[PARITY]
    if space.ended_score[now, group, silence] == -np.inf:
        space.ended[now, group, silence] = space.counts[RECORDS]
        space.counts[RECORDS] += 1
    record = space.ended[now, group, silence]
    space.ended_score[now, group, silence] = value
    space.record_leaf[record], space.record_end[record] = leaf, frame
    space.record_back[record], space.record_score[record] = origin, value


@numba.njit(cache=True)
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
