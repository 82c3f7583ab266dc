"""Frame-synchronous Viterbi search by token passing (Young, Russell, Thornton 1989), compiled.

A token is the best path into (tree node, language model state). Tokens of one state stand together
in a group, so whether a node already has a token in the group that is being filled is a look into
one array over nodes (a sparse set: Briggs and Torczon 1993), without hashing or sorting.

One frame:
1. Pass on: every token within the beam moves to its own node and its children, and the ends of
   words (or of silence) of the frame before enter the tree; where tokens meet, the better one stays.
2. Prune: the beam follows the best token; a histogram of scores keeps the number of tokens down.
3. Leave words: tokens in a word's last state make records, from which the words are read at the end.
   Of those that lead to one language model state through one exit (:mod:`asrdistill.decode.tree`) the
   best is kept: an end, found by hashing.

A token's score holds lm_weight times its look-ahead in words, which is taken back where the word's
own probability is added, and its look-ahead in sound, which is taken back in the next frame; so
scores of whole paths are exact. :mod:`asrdistill.decode.lookahead` explains both.

For a lattice nothing is thrown away where paths meet: a merge says what else led to a token and how
much worse it was, an arrival what else led to a record. :mod:`asrdistill.decode.lattice` reads them.

All that is compiled stands in this one file: numba keeps what it compiled until the file changes,
but does not see changes in other files that it calls.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from asrdistill.decode.lm import Grammar
from asrdistill.decode.tree import AFTER_SILENCE, INSIDE, SILENCE, START, Tree

# For functions that only look into arrays: counting references to these took longer than the search itself.
PLAIN: Any = {"cache": True, "_nrt": False}
BINS = 1024  # of the histogram that limits the number of tokens
MEMORY, REMEMBERED = 1 << 13, 8  # look-aheads that are remembered, and the most classes of one of them
END = -1e4  # look-ahead in sound of a senone in which no utterance can end, at the last frame
PARITY, GROUPS, TOKENS, ENDS, RECORDS, BEST, MERGES, ARRIVALS = range(8)  # places in Space.counts


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
    silence: float  # added where silence is taken
    no_silence: float  # added where it may stand and is not taken
    lattice_beam: float  # what is worse by more is not remembered where paths meet; below 0: nothing is


class Space(NamedTuple):
    """Everything a search writes to: two sets of tokens, groups and ends (this frame's and the next's), and records."""

    counts: np.ndarray  # (8,) int64: which set is current, how much of it and of what follows is used, best token
    before: np.ndarray  # (8,) int64: the counts before the frame, for which room may run out
    full: np.ndarray  # (1,) int64: what there was no room for, as a place in counts
    cutoff: np.ndarray  # (1,) float64: tokens below it are not passed on
    # tokens (2, capacity)
    node: np.ndarray  # int32
    score: np.ndarray  # float64, look-ahead included
    ahead: np.ndarray  # float32: the look-ahead
    back: np.ndarray  # int32: record of the word (or silence) before, or -1 - a merge of several
    # groups (2, H): one for each language model state with tokens or with words that end in it
    state: np.ndarray  # int32
    begin: np.ndarray  # int32: its tokens are begin … end - 1
    end: np.ndarray  # int32
    root_ahead: np.ndarray  # float32: look-ahead of the root
    ended: np.ndarray  # (2, H) int32: the first of the ends in the state, -1 where there is none
    # ends (2, capacity): the best words (or silence) that lead to a state through an exit
    end_group: np.ndarray  # int32
    end_exit: np.ndarray  # int32
    end_next: np.ndarray  # int32: another end of the group, or -1
    end_score: np.ndarray  # float64, without look-ahead
    end_record: np.ndarray  # int32
    end_slot: np.ndarray  # int32: where it stands in the hash table
    # records (capacity)
    record_leaf: np.ndarray  # int32: leaf of the tree
    record_end: np.ndarray  # int32: frame after its last
    record_back: np.ndarray  # int32: record before it, or -1 - a merge; record 0 is where all paths begin
    record_score: np.ndarray  # float64: score of the path to here
    record_state: np.ndarray  # int32: language model state after it
    record_place: np.ndarray  # int32: scratch of :func:`settle`
    # merges (capacity)
    merge_first: np.ndarray  # int32: record or merge of the better path
    merge_other: np.ndarray  # int32: of the other one
    merge_gap: np.ndarray  # float32: how much worse that is
    # arrivals (capacity): all paths into records, the better and the worse ones
    arrival_record: np.ndarray  # int32
    arrival_leaf: np.ndarray  # int32
    arrival_back: np.ndarray  # int32: record before it, or -1 - a merge
    arrival_score: np.ndarray  # float64
    # look-up and scratch
    place: np.ndarray  # (N,) int32: where a node's token in the current group may be
    group_of: np.ndarray  # (H,) int32: where a state's group may be
    gain: np.ndarray  # (S,) float64: a frame's scores with the look-ahead in sound
    children: np.ndarray  # float32: look-ahead of the classes of a node's children
    slot: np.ndarray  # (2 · capacity of the ends,) int32: hash table of (group, exit): where its end may be
    histogram: np.ndarray  # (BINS,) int64
    # what the language model was asked last and its answers, which hold for all utterances
    word_key: np.ndarray  # (MEMORY,) int64: (state, token) in one number
    word_logprob: np.ndarray  # (MEMORY,) float64
    word_next: np.ndarray  # (MEMORY,) int32
    ahead_key: np.ndarray  # (MEMORY,) int64: (state, class, number of classes) in one number
    ahead_value: np.ndarray  # (MEMORY, REMEMBERED) float32


def allocate(
    tree: Tree, grammar: Grammar, senones: int, tokens: int = 1 << 16, records: int = 1 << 16, ends: int = 1 << 12
) -> Space:
    """Room for a search, made once; :func:`enlarge` gives more where an utterance needs it. `ends`: a power of two."""
    nodes, states = len(tree.senone), len(grammar.backoff_state)
    return Space(
        counts=np.zeros(8, np.int64),
        before=np.zeros(8, np.int64),
        full=np.zeros(1, np.int64),
        cutoff=np.zeros(1),
        node=np.zeros((2, tokens), np.int32),
        score=np.zeros((2, tokens)),
        ahead=np.zeros((2, tokens), np.float32),
        back=np.zeros((2, tokens), np.int32),
        state=np.zeros((2, states), np.int32),
        begin=np.zeros((2, states), np.int32),
        end=np.zeros((2, states), np.int32),
        root_ahead=np.zeros((2, states), np.float32),
        ended=np.zeros((2, states), np.int32),
        end_group=np.zeros((2, ends), np.int32),
        end_exit=np.zeros((2, ends), np.int32),
        end_next=np.zeros((2, ends), np.int32),
        end_score=np.zeros((2, ends)),
        end_record=np.zeros((2, ends), np.int32),
        end_slot=np.zeros((2, ends), np.int32),
        record_leaf=np.zeros(records, np.int32),
        record_end=np.zeros(records, np.int32),
        record_back=np.zeros(records, np.int32),
        record_score=np.zeros(records),
        record_state=np.zeros(records, np.int32),
        record_place=np.zeros(records, np.int32),
        merge_first=np.zeros(tokens, np.int32),
        merge_other=np.zeros(tokens, np.int32),
        merge_gap=np.zeros(tokens, np.float32),
        arrival_record=np.zeros(records, np.int32),
        arrival_leaf=np.zeros(records, np.int32),
        arrival_back=np.zeros(records, np.int32),
        arrival_score=np.zeros(records),
        place=np.zeros(nodes, np.int32),
        group_of=np.zeros(states, np.int32),
        gain=np.zeros(senones),
        children=np.zeros(_widest(tree), np.float32),
        slot=np.zeros(2 * ends, np.int32),
        histogram=np.zeros(BINS, np.int64),
        word_key=np.full(MEMORY, -1, np.int64),
        word_logprob=np.zeros(MEMORY),
        word_next=np.zeros(MEMORY, np.int32),
        ahead_key=np.full(MEMORY, -1, np.int64),
        ahead_value=np.zeros((MEMORY, REMEMBERED), np.float32),
    )


def _widest(tree: Tree) -> int:
    """Classes of a node's children, or how many tokens a token or an end may lead to: whatever is more."""
    inner = np.flatnonzero(np.diff(tree.child_begin))
    first, last = tree.child[tree.child_begin[inner]], tree.child[tree.child_begin[inner + 1] - 1]
    classes, children = tree.look[last] - tree.look[first] + 1, np.diff(tree.child_begin)
    return max(tree.roots + 1, int(classes.max(initial=0)), int(children.max()), int(np.diff(tree.entry_begin).max()))


def _starting(prefix: str) -> list[str]:
    return [name for name in Space._fields if name.startswith(prefix)]


GROWING = {
    TOKENS: ["node", "score", "ahead", "back"],
    ENDS: [*_starting("end_"), "slot"],
    RECORDS: _starting("record_"),
    MERGES: _starting("merge_"),
    ARRIVALS: _starting("arrival_"),
}


def enlarge(space: Space) -> Space:
    """Twice the room for what was full; what stands there is kept."""
    grown = {}
    for name in GROWING[int(space.full[0])]:
        array = getattr(space, name)
        grown[name] = np.concatenate([array, np.zeros_like(array)], axis=-1)
    return space._replace(**grown)


@numba.njit(**PLAIN)
def start(grammar, look, space):
    """Begin an utterance: no tokens, and the path of no words has just ended in the state after <s>."""
    counts = space.counts
    counts[:] = 0
    space.cutoff[0] = -np.inf
    group = _open_group(grammar, look, space, grammar.start)
    end = _open_end(space, group, START)
    space.end_score[0, end] = space.record_score[0] = 0.0
    space.record_end[0] = 0


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
    space.ended[now, place] = -1
    return place


@numba.njit(**PLAIN)
def _open_end(space, group, exit):
    """The place of the end of (group, exit) in the current set; made, with score -inf, where there is none.

    An end has a record; -1 where there is no room for one of them.
    """
    counts, slot = space.counts, space.slot
    now, mask = counts[PARITY], len(slot) - 1
    h = (group * 40503 + exit * 60493) & mask  # spreads neighbouring groups and exits
    while slot[h] < counts[ENDS] and space.end_slot[now, slot[h]] == h:
        end = slot[h]
        if space.end_group[now, end] == group and space.end_exit[now, end] == exit:
            return end
        h = (h + 1) & mask
    end = counts[ENDS]
    if end == space.end_slot.shape[1] or counts[RECORDS] == len(space.record_leaf):
        space.full[0] = ENDS if end == space.end_slot.shape[1] else RECORDS
        return -1
    counts[ENDS] += 1
    slot[h], space.end_slot[now, end] = end, h
    space.end_group[now, end], space.end_exit[now, end] = group, exit
    space.end_score[now, end], space.end_record[now, end] = -np.inf, counts[RECORDS]
    space.record_state[counts[RECORDS]] = space.state[now, group]
    counts[RECORDS] += 1
    space.end_next[now, end], space.ended[now, group] = space.ended[now, group], end
    return end


@numba.njit(**PLAIN)
def advance(tree, grammar, look, space, scales, loglikes, outlook, between, begin, frame, last):
    """Search on from `frame` of a block of loglikes (B, S) float32; returns B, or the frame for which room ran out.

    `outlook` (B + 1, S), which begins with the frame before the block, and `between` (B,) are the
    look-ahead in sound. `begin` is the block's place in the utterance, `last`: it ends there.
    """
    counts = space.counts
    while frame < len(loglikes):
        cutoff = space.cutoff[0]
        _copy(counts, space.before)
        for s in range(loglikes.shape[1]):
            space.gain[s] = np.float64(loglikes[frame, s]) + outlook[frame + 1, s]
        best = _pass_on(tree, grammar, look, space, scales, outlook[frame])
        if best == np.inf:
            _copy(space.before, counts)  # the set before is still there
            return frame
        _prune(space, scales, best)
        ending = last and frame + 1 == len(loglikes)  # whatever ends at the end is welcome
        cut, end = best - (np.inf if ending else scales.word_end_beam), begin + frame + 1
        if not _leave_words(tree, grammar, look, space, scales, outlook[frame + 1], between[frame], cut, end):
            _copy(space.before, counts)
            space.cutoff[0] = cutoff
            return frame
        frame += 1
    return frame


@numba.njit(**PLAIN)
def _copy(source, target):
    for k in range(len(source)):
        target[k] = source[k]


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
    merges = (counts, space.merge_first, space.merge_other, space.merge_gap, scales.lattice_beam)
    ends = (space.end_exit[now], space.end_record[now], space.end_score[now], space.end_next[now])
    beam, lm_weight, children, gain = scales.beam, scales.lm_weight, space.children, space.gain
    room, merge_room = len(node) - len(children) - 1, len(space.merge_gap) - len(children) - 1
    best, best_place, count, groups = -np.inf, 0, 0, 0
    if counts[TOKENS] > 0:  # the best token's self loop is a first bound, so that the beam bites from the start
        n = node[counts[BEST]]
        best = score[counts[BEST]] - outlook[tree.senone[n]] + tree.self_loop[n] + gain[tree.senone[n]]
    loudest_root = -np.inf
    for s in tree.initial:
        loudest_root = max(loudest_root, gain[s])
    for group in range(counts[GROUPS]):
        first, state = count, space.state[now, group]
        for token in range(space.begin[now, group], space.end[now, group]):
            if score[token] < cutoff:
                continue
            if count > room or counts[MERGES] > merge_room:
                space.full[0] = TOKENS if count > room else MERGES
                return np.inf
            n = node[token]
            base = score[token] - outlook[tree.senone[n]]
            value = base + tree.self_loop[n] + gain[tree.senone[n]]
            if value >= best - beam:
                count = _put(tokens, merges, first, count, n, value, ahead[token], back[token])
                if value >= best:
                    best, best_place = value, space.place[n]
            begin, last = tree.child_begin[n], tree.child_begin[n + 1]
            if begin == last:
                continue
            base += tree.forward[n]
            lowest = tree.child_look[begin]
            if lowest == tree.look[n]:  # the same words are ahead of all children
                for k in range(begin, last):
                    value = base + gain[tree.child_senone[k]]
                    if value >= best - beam:
                        child = tree.child[k]
                        count = _put(tokens, merges, first, count, child, value, ahead[token], back[token])
                        if value >= best:
                            best, best_place = value, space.place[child]
                continue
            loudest = -np.inf
            for k in range(begin, last):
                loudest = max(loudest, gain[tree.child_senone[k]])
            if base + loudest < best - beam:  # what is ahead of a child is at best what is ahead of n
                continue
            _look_ahead(grammar, look, space, state, lowest, tree.child_look[last - 1] - lowest + 1)
            for k in range(begin, last):
                coming = children[tree.child_look[k] - lowest]
                value = base + lm_weight * (coming - ahead[token]) + gain[tree.child_senone[k]]
                if value >= best - beam:
                    child = tree.child[k]
                    count = _put(tokens, merges, first, count, child, value, coming, back[token])
                    if value >= best:
                        best, best_place = value, space.place[child]
        root, looked = space.root_ahead[now, group], False
        end = space.ended[now, group]
        while end >= 0:
            if count > room or counts[MERGES] > merge_room:
                space.full[0] = TOKENS if count > room else MERGES
                return np.inf
            exit, origin, base = ends[0][end], ends[1][end], ends[2][end]
            if tree.pause[exit]:
                value = base + lm_weight * root + scales.silence + gain[tree.senone[0]]
                if value >= best - beam:
                    count = _put(tokens, merges, first, count, 0, value, root, origin)
                    if value >= best:
                        best, best_place = value, space.place[0]
            base += scales.insertion_penalty
            if exit != AFTER_SILENCE:
                base += scales.no_silence
            if base + lm_weight * root + loudest_root >= best - beam:
                if not looked:
                    look_ahead(grammar, look, state, 0, tree.roots + 1, children)
                    looked = True
                for k in range(tree.entry_begin[exit], tree.entry_begin[exit + 1]):
                    coming = children[tree.entry_look[k]]
                    value = base + lm_weight * coming + gain[tree.entry_senone[k]]
                    if value >= best - beam:
                        n = tree.entry[k]
                        count = _put(tokens, merges, first, count, n, value, coming, origin)
                        if value >= best:
                            best, best_place = value, space.place[n]
            end = ends[3][end]
        if count > first:
            space.group_of[state] = groups
            space.state[new, groups] = state
            space.begin[new, groups], space.end[new, groups] = first, count
            space.root_ahead[new, groups] = root
            space.ended[new, groups] = -1
            groups += 1
    counts[PARITY], counts[GROUPS], counts[TOKENS], counts[BEST] = new, groups, count, best_place
    counts[ENDS] = 0
    return best


@numba.njit(inline="always", **PLAIN)
def _put(tokens, merges, first, count, n, value, coming, origin):
    """Bring a token to node n of the group that begins at `first`; returns how many tokens there are then."""
    place, node, score, ahead, back = tokens
    p = place[n]
    if first <= p < count and node[p] == n:  # there is one already, with the same look-ahead
        if value > score[p]:
            back[p] = _merge(merges, origin, back[p], value - score[p])
            score[p] = value
        else:
            back[p] = _merge(merges, back[p], origin, score[p] - value)
        return count
    place[n] = count
    node[count], score[count], ahead[count], back[count] = n, value, coming, origin
    return count + 1


@numba.njit(inline="always", **PLAIN)
def _merge(merges, first, other, gap):
    """What led to a token where two paths met: the better one's origin, or a merge that remembers both."""
    counts, merge_first, merge_other, merge_gap, lattice_beam = merges
    if gap > lattice_beam or first == other:
        return first
    place = counts[MERGES]
    counts[MERGES] += 1
    merge_first[place], merge_other[place], merge_gap[place] = first, other, gap
    return np.int32(-1 - place)


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
    """Record the words (and silences) that end before `frame`, the best one for each state and exit; False: no room.

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
            if tree.exit[n] == INSIDE or score[token] < space.cutoff[0]:
                continue
            leaving = score[token] - outlook[tree.senone[n]] + tree.forward[n]
            if leaving + between < cutoff:  # what is ahead of a word's end is at best what is ahead of the word
                continue
            for leaf in range(tree.leaf_begin[n], tree.leaf_end[n]):
                value, place = leaving - scales.lm_weight * ahead[token], group
                if tree.leaf_word[leaf] != SILENCE:
                    logprob, following = _next_word(grammar, space, state, tree.leaf_token[leaf])
                    value += scales.lm_weight * (logprob + tree.leaf_logprob[leaf])
                    if value + between < cutoff:
                        continue
                    place = _open_group(grammar, look, space, following)
                if value + between + scales.lm_weight * space.root_ahead[now, place] < cutoff:
                    continue
                end = _open_end(space, place, tree.exit[n])
                if end < 0:
                    return False
                if scales.lattice_beam >= 0 and not _arrive(
                    space, space.end_record[now, end], leaf, back[token], value
                ):
                    return False
                if value > space.end_score[now, end]:
                    record = space.end_record[now, end]
                    space.end_score[now, end] = space.record_score[record] = value
                    space.record_leaf[record], space.record_end[record] = leaf, frame
                    space.record_back[record] = back[token]
    return True


@numba.njit(**PLAIN)
def _arrive(space, record, leaf, back, score):
    """Note a path into a record; False where there is no room."""
    place = space.counts[ARRIVALS]
    if place == len(space.arrival_record):
        space.full[0] = ARRIVALS
        return False
    space.counts[ARRIVALS] += 1
    space.arrival_record[place], space.arrival_leaf[place] = record, leaf
    space.arrival_back[place], space.arrival_score[place] = back, score
    return True


@numba.njit(**PLAIN)
def finish(tree, grammar, space, scales, outlook):
    """(last record, score with </s>, whether a word or silence ended with the last frame).

    Where none did, the best token's last record and the score up to now.
    """
    counts = space.counts
    now = counts[PARITY]
    best, record = -np.inf, 0
    for end in range(counts[ENDS]):
        exit, value = space.end_exit[now, end], space.end_score[now, end]
        if exit != AFTER_SILENCE:
            value += scales.no_silence if tree.pause[exit] else -np.inf  # beyond the end stands silence
        value += scales.lm_weight * next_word(grammar, space.state[now, space.end_group[now, end]], grammar.end)[0]
        if value > best:
            best, record = value, space.end_record[now, end]
    if best > -np.inf or counts[TOKENS] == 0:
        return record, best, best > -np.inf
    token = counts[BEST]
    score = space.score[now, token] - outlook[tree.senone[space.node[now, token]]]
    return space.back[now, token], score - scales.lm_weight * space.ahead[now, token], False


@numba.njit(**PLAIN)
def better(space, origin):
    """The record of the best path where several met."""
    while origin < 0:
        origin = space.merge_first[-1 - origin]
    return origin


@numba.njit(**PLAIN)
def settle(space):
    """The last record that all live paths go through; :func:`forget` may drop what stands before it. Without merges.

    Brown, Spohrer, Hochschild and Baker (1982) trace back from all live paths in the same way.
    """
    counts, place = space.counts, space.record_place
    now, live = counts[PARITY], 0
    place[: counts[RECORDS]] = 0
    for token in range(counts[TOKENS]):
        record = space.back[now, token]
        if space.score[now, token] >= space.cutoff[0] and not place[record]:
            place[record], live = 1, live + 1
    for end in range(counts[ENDS]):
        record = space.end_record[now, end]
        if not place[record]:
            place[record], live = 1, live + 1
    record = counts[RECORDS] - 1
    while record > 0 and not (place[record] and live == 1):  # the latest of the live gives way to the one before it
        if place[record]:
            back = space.record_back[record]
            live -= place[back]
            place[back] = 1
        record -= 1
    return record


@numba.njit(**PLAIN)
def forget(space, root):
    """Keep only the records that live paths go through after `root`, which :func:`settle` gave and which becomes 0."""
    counts, place = space.counts, space.record_place
    now, kept = counts[PARITY], 0
    for record in range(root, counts[RECORDS]):
        if place[record] or record == root:
            place[record] = kept
            space.record_leaf[kept], space.record_end[kept] = space.record_leaf[record], space.record_end[record]
            space.record_back[kept] = place[space.record_back[record]] if record > root else 0
            space.record_score[kept], space.record_state[kept] = space.record_score[record], space.record_state[record]
            kept += 1
    for token in range(counts[TOKENS]):
        space.back[now, token] = place[space.back[now, token]]
    for end in range(counts[ENDS]):
        space.end_record[now, end] = place[space.end_record[now, end]]
    counts[RECORDS] = kept


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


@numba.njit(inline="always", **PLAIN)
def _remembered(key):
    """Where the answer to a question may be remembered; another one with the same place takes it over."""
    return (key * 0x9E3779B97F4A7C1 >> 20) & (MEMORY - 1)


@numba.njit(**PLAIN)
def _next_word(grammar, space, state, token):
    """:func:`next_word`, remembered: a token asks again in each frame that it stays in a word's last state."""
    key = np.int64(state) * grammar.arc_begin[1] + token
    place = _remembered(key)
    if space.word_key[place] != key:
        space.word_key[place] = key
        space.word_logprob[place], space.word_next[place] = next_word(grammar, state, token)
    return space.word_logprob[place], space.word_next[place]


@numba.njit(**PLAIN)
def _look_ahead(grammar, look, space, state, first, count):
    """:func:`look_ahead` into space.children, remembered where the classes are few."""
    out = space.children
    if count > REMEMBERED:
        look_ahead(grammar, look, state, first, count, out)
        return
    key = (np.int64(state) * len(look.base) + first) * REMEMBERED + count - 1
    place = _remembered(key)
    value = space.ahead_value[place]
    if space.ahead_key[place] == key:
        for k in range(count):
            out[k] = value[k]
        return
    look_ahead(grammar, look, state, first, count, out)
    space.ahead_key[place] = key
    for k in range(count):
        value[k] = out[k]


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
def outlook(successors, loglikes, block, last):
    """Look-ahead in sound for the first `block` of loglikes (T, S): (B, S) after being in a senone, (B,) after a word.

    Both float32, relative to the frame's best senone. A Viterbi search backwards through the loop
    of senones, with transition probabilities but without a language model. It begins at frame T,
    where the utterance ends if `last`; if not, whatever the last frame's senone may be is as good.
    """
    frames, senones = loglikes.shape
    ahead, between = np.zeros((frames, senones), np.float32), np.zeros(frames, np.float32)
    best = np.empty(senones)
    if last:
        ahead[frames - 1] = END
        for s in successors.final:
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
    return ahead[:block], between[:block]
