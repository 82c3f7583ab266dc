"""Frame-synchronous Viterbi search by token passing (Young, Russell, Thornton 1989), compiled by numba.

docs/internals.md describes the algorithm. All kernels are in this file: numba's cache notices changes of a file, but
not of other files that it calls.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from asrdistill.decode.lm import Grammar
from asrdistill.decode.tree import AFTER_SILENCE, FLOAT, INSIDE, INT, PLACE, SILENCE, START, Tree, row

# For functions that only look into arrays: counting references to these took longer than the search itself.
PLAIN: Any = {"cache": True, "_nrt": False}
BINS = 1024  # of the histogram that limits the number of tokens
MEMORY, REMEMBERED = 1 << 13, 8  # cached look-aheads, and the most classes of one
NOT_LAST = -1e4  # acoustic look-ahead of a senone in which no utterance can end, at the last frame
# places in SearchState.counts; the last two are of the set that is being filled
PARITY, GROUPS, TOKENS, ENDS, RECORDS, BEST, MERGES, ARRIVALS, FILLED, FIRST = range(10)


class LmLookahead(NamedTuple):
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


# score: look-ahead included; ahead: the language model look-ahead; back: record of the word (or silence) before, or
# -1 - a merge of several
TOKEN = row(score=np.float64, ahead=FLOAT, node=PLACE, back=INT)
# One for each language model state with tokens (begin … end - 1) or with words that end in it. root: look-ahead of the
# root; ended: the first of the ends in the state, -1 where there is none
GROUP = row(state=INT, begin=PLACE, end=PLACE, root=FLOAT, ended=INT)
# An end: the best word (or silence) that leads to a group's state through an exit. score: without look-ahead;
# next: another end of the group, or -1
END = row(score=np.float64, group=INT, exit=INT, next=INT, record=INT)
# score: of the path to here; end: frame after its last; back: record before it, or -1 - a merge; state: of the language
# model, after it. Record 0 is where all paths begin
RECORD = row(score=np.float64, leaf=INT, end=INT, back=INT, state=INT)
# Where paths met, for a lattice. first: record or merge of the better path; other: of the other one; gap: how much
# worse that is
MERGE = row(first=INT, other=INT, gap=FLOAT)
# A cached look-ahead. asked: (state, class, number of classes) in one number
ANSWER = np.dtype([("asked", np.int64), ("ahead", np.float32, REMEMBERED)], align=True)
# All paths into records, the better and the worse ones
ARRIVAL = row(score=np.float64, record=INT, leaf=INT, back=INT)


class SearchState(NamedTuple):
    """Everything a search writes to: two sets of tokens, groups and ends (this frame's and the next's), and records."""

    counts: np.ndarray  # (10,) int64: which set is current, how much of it and of what follows is used, best token
    before: np.ndarray  # (10,) int64: the counts before the frame, for which room may run out
    full: np.ndarray  # (1,) int64: what there was no room for, as a place in counts
    best: np.ndarray  # (1,) float64: the best token's score
    cutoff: np.ndarray  # (1,) float64: tokens below it are not passed on
    tokens: np.ndarray  # (2, capacity) TOKEN
    groups: np.ndarray  # (2, H) GROUP
    ends: np.ndarray  # (2, capacity) END
    records: np.ndarray  # (capacity,) RECORD
    merges: np.ndarray  # (capacity,) MERGE
    arrivals: np.ndarray  # (capacity,) ARRIVAL
    # look-up and scratch
    place: np.ndarray  # (N,) uint32: where a node's token in the current group may be
    group_of: np.ndarray  # (H,) int32: where a state's group may be
    # a frame's, float64: scores with the acoustic look-ahead; what it is worth to stay in a senone, and to leave it.
    # Both take the look-ahead back that the token's score holds
    gain: np.ndarray  # (S,)
    stay: np.ndarray  # (S,)
    leave: np.ndarray  # (S,)
    ahead: np.ndarray  # (A,) float32: look-ahead of the classes of a node's children
    histogram: np.ndarray  # (BINS,) int64
    # cached look-aheads, valid for all utterances
    memory: np.ndarray  # (MEMORY,) ANSWER


def allocate(
    tree: Tree, grammar: Grammar, senones: int, tokens: int = 1 << 16, records: int = 1 << 16, ends: int = 1 << 12
) -> SearchState:
    """Room for a search, made once; :func:`enlarge` gives more where an utterance needs it."""
    states = len(grammar.backoff_state)
    return SearchState(
        counts=np.zeros(10, np.int64),
        before=np.zeros(10, np.int64),
        full=np.zeros(1, np.int64),
        best=np.zeros(1),
        cutoff=np.zeros(1),
        tokens=np.zeros((2, tokens), TOKEN),
        groups=np.zeros((2, states), GROUP),
        ends=np.zeros((2, ends), END),
        records=np.zeros(records, RECORD),
        merges=np.zeros(tokens, MERGE),
        arrivals=np.zeros(records, ARRIVAL),
        place=np.zeros(len(tree.node), PLACE),
        group_of=np.zeros(states, np.int32),
        gain=np.zeros(senones),
        stay=np.zeros(senones),
        leave=np.zeros(senones),
        ahead=np.zeros(len(tree.look_parent), np.float32),
        histogram=np.zeros(BINS, np.int64),
        memory=np.full(MEMORY, -1, ANSWER),
    )


GROWING = {TOKENS: "tokens", ENDS: "ends", RECORDS: "records", MERGES: "merges", ARRIVALS: "arrivals"}


def enlarge(search: SearchState) -> SearchState:
    """Twice the room for what was full; what stands there is kept."""
    name = GROWING[int(search.full[0])]
    array = getattr(search, name)
    return search._replace(**{name: np.concatenate([array, np.zeros_like(array)], axis=-1)})


@numba.njit(**PLAIN)
def start(grammar, look, search):
    """Begin an utterance: no tokens, and the path of no words has just ended in the state after <s>."""
    search.counts[:] = 0
    search.cutoff[0] = -np.inf
    end = _open_end(search, _open_group(grammar, look, search, grammar.start), START)
    search.ends[0, end].score = search.records[0].score = 0.0
    search.records[0].end = 0


@numba.njit(**PLAIN)
def advance(tree, grammar, look, search, scales, loglikes, acoustic_lookahead, word_end_lookahead, begin, frame, last):
    """Search on from `frame` of a block of loglikes (B, S) float32; returns B, or the frame for which room ran out.

    `acoustic_lookahead` (B + 1, S), which begins with the frame before the block, and `word_end_lookahead` (B,) are the
    acoustic look-ahead. `begin` is the block's place in the utterance, `last`: it ends there.
    """
    counts, before, gain, stay, leave = search.counts, search.before, search.gain, search.stay, search.leave
    while frame < len(loglikes):
        cutoff = search.cutoff[0]
        for k in range(len(counts)):
            before[k] = counts[k]
        for s in range(loglikes.shape[1]):
            gain[s] = np.float64(loglikes[frame, s]) + acoustic_lookahead[frame + 1, s]
            stay[s] = tree.self_loop[s] - acoustic_lookahead[frame, s]
            leave[s] = tree.forward[s] - acoustic_lookahead[frame, s]
        whole = _propagate_all(tree, grammar, look, search, scales)
        if whole:
            _prune(search, scales)
            for s in range(len(leave)):
                leave[s] = tree.forward[s] - acoustic_lookahead[frame + 1, s]
            ending = last and frame + 1 == len(loglikes)  # at the last frame keep every word end
            cut, end = search.best[0] - (np.inf if ending else scales.word_end_beam), begin + frame + 1
            whole = _end_words(tree, grammar, look, search, scales, word_end_lookahead[frame], cut, end)
        if not whole:  # the set before is still there
            search.cutoff[0] = cutoff
            for k in range(len(counts)):
                counts[k] = before[k]
            return frame
        frame += 1
    return frame


@numba.njit(**PLAIN)
def _propagate_all(tree, grammar, look, search, scales):
    """Fill the next set with the successors of the current one; False: no room, and the current set is as it was."""
    counts, cutoff, now = search.counts, search.cutoff[0], search.counts[PARITY]
    tokens, new = search.tokens[now], search.tokens[1 - now]
    groups, new_groups = search.groups[now], search.groups[1 - now]
    filled = 0
    search.best[0], counts[FILLED] = -np.inf, 0
    if counts[TOKENS] > 0:  # the best token's self loop is a first bound, so that the beam bites from the start
        token = tokens[counts[BEST]]
        node = tree.node[token.node]
        search.best[0] = token.score + search.stay[node.senone] + search.gain[tree.node[node.stay].senone]
    best_gain = -np.inf  # that a word may begin with
    for s in tree.initial:
        best_gain = max(best_gain, search.gain[s])
    for g in range(counts[GROUPS]):
        group, first = groups[g], counts[FILLED]
        counts[FIRST] = first
        for t in range(group.begin, group.end):
            token = tokens[t]
            if token.score >= cutoff and not _propagate(tree, grammar, look, search, scales, new, group.state, token):
                return False
        if group.ended >= 0 and not _start_words(tree, grammar, look, search, scales, new, group, best_gain):
            return False
        if counts[FILLED] > first:
            search.group_of[group.state] = filled
            made = new_groups[filled]
            made.state, made.begin, made.end, made.root, made.ended = group.state, first, counts[FILLED], group.root, -1
            filled += 1
    counts[PARITY], counts[GROUPS], counts[TOKENS], counts[ENDS] = 1 - now, filled, counts[FILLED], 0
    return True


@numba.njit(inline="always", **PLAIN)
def _propagate(tree, grammar, look, search, scales, new, state, token):
    """Pass a token of the state on by its node's self loop and to that node's children; False: there may be no room."""
    node, ahead = tree.node[token.node], search.ahead
    begin, end = node.first, tree.node[token.node + 1].first
    if not _has_room(search, 1 + end - begin):
        return False
    value = token.score + search.stay[node.senone] + search.gain[tree.node[node.stay].senone]
    _recombine(search, scales, new, node.stay, value, token.ahead, token.back)
    if begin < end:
        base = token.score + search.leave[node.senone]
        lowest, best_gain = tree.child[begin].look, np.inf
        if lowest == node.look:  # the same words are ahead of all children
            ahead[0] = token.ahead
        else:  # what is ahead of a child is at best what is ahead of the node
            best_gain = -np.inf
            for k in range(begin, end):
                best_gain = max(best_gain, search.gain[tree.child[k].senone])
            if base + best_gain >= search.best[0] - scales.beam:
                _cached_lookahead(grammar, look, search, state, lowest, 1 + tree.child[end - 1].look - lowest)
        if base + best_gain >= search.best[0] - scales.beam:
            base -= scales.lm_weight * token.ahead
            _spread(search, scales, new, tree.child, begin, end, lowest, base, token.back)
    return True


@numba.njit(inline="always", **PLAIN)
def _start_words(tree, grammar, look, search, scales, new, group, best_gain):
    """Begin words and silence after the words that ended in the group's state; False where there may be no room.

    `best_gain` is the best gain of a senone that a word may begin with.
    """
    e, looked = group.ended, False
    while e >= 0:
        end = search.ends[search.counts[PARITY], e]
        first, after = tree.entry_begin[end.exit], tree.entry_begin[end.exit + 1]
        if not _has_room(search, 1 + after - first):
            return False
        if tree.pause[end.exit]:
            value = end.score + scales.silence + scales.lm_weight * group.root + search.gain[tree.node[0].senone]
            _recombine(search, scales, new, 0, value, group.root, end.record)
        base = end.score + scales.insertion_penalty + (0.0 if end.exit == AFTER_SILENCE else scales.no_silence)
        if base + scales.lm_weight * group.root + best_gain >= search.best[0] - scales.beam:
            if not looked:
                lm_lookahead(grammar, look, np.int64(group.state), np.int64(0), np.int64(tree.roots + 1), search.ahead)
                looked = True
            _spread(search, scales, new, tree.entry, first, after, 0, base, end.record)
        e = end.next
    return True


@numba.njit(inline="always", **PLAIN)
def _has_room(search, needed):
    """Whether there is room for N more tokens and their merges."""
    counts = search.counts
    if counts[FILLED] + needed > search.tokens.shape[1]:
        search.full[0] = TOKENS
        return False
    if counts[MERGES] + needed > len(search.merges):
        search.full[0] = MERGES
        return False
    return True


@numba.njit(inline="always", **PLAIN)
def _spread(search, scales, new, links, begin, end, lowest, base, back):
    """Bring tokens along links; search.ahead has the look-ahead of their classes, from class `lowest` on."""
    for k in range(begin, end):
        link = links[k]
        ahead = search.ahead[link.look - lowest]
        value = base + scales.lm_weight * ahead + search.gain[link.senone]
        _recombine(search, scales, new, link.node, value, ahead, back)


@numba.njit(inline="always", **PLAIN)
def _recombine(search, scales, tokens, node, value, ahead, back):
    """Bring a token to a node of the group that is being filled, if it is within the beam."""
    if value >= search.best[0] - scales.beam:
        counts, place = search.counts, search.place[node]
        if counts[FIRST] <= place < counts[FILLED] and tokens[place].node == node:
            token = tokens[place]  # there is one already, with the same look-ahead
            if value > token.score:
                token.back = _merge(search, scales, back, token.back, value - token.score)
                token.score = value
            else:
                token.back = _merge(search, scales, token.back, back, token.score - value)
        else:
            new = counts[FILLED]
            counts[FILLED] += 1
            search.place[node] = new
            token = tokens[new]
            token.node, token.score, token.ahead, token.back = node, value, ahead, back
        if value >= search.best[0]:
            search.best[0], counts[BEST] = value, search.place[node]


@numba.njit(inline="always", **PLAIN)
def _merge(search, scales, first, other, gap):
    """What led to a token where two paths met: the better one's origin, or a merge that remembers both."""
    if gap > scales.lattice_beam or first == other:
        return first
    place = search.counts[MERGES]
    search.counts[MERGES] += 1
    merge = search.merges[place]
    merge.first, merge.other, merge.gap = first, other, gap
    return np.int32(-1 - place)


@numba.njit(**PLAIN)
def _prune(search, scales):
    """Set the cutoff to the beam, or higher where more than max_active tokens would stay."""
    tokens, count, best = search.tokens[search.counts[PARITY]], search.counts[TOKENS], search.best[0]
    search.cutoff[0] = best - scales.beam
    if count <= scales.max_active:
        return
    histogram, width = search.histogram, scales.beam / BINS
    histogram[:] = 0
    for t in range(count):
        place = (best - tokens[t].score) / width
        if 0 <= place < BINS:  # neither infinite nor NaN
            histogram[int(place)] += 1
    kept = 0
    for place in range(BINS):
        kept += histogram[place]
        if kept > scales.max_active:
            search.cutoff[0] = best - width * max(place, 1)
            return


@numba.njit(**PLAIN)
def _end_words(tree, grammar, look, search, scales, word_end_lookahead, cutoff, frame):
    """Record the words (and silences) that end before `frame`, the best one for each state and exit; False: no room.

    `word_end_lookahead` is the acoustic look-ahead after a word's end; words below the cutoff with it are
    dropped.
    """
    now = search.counts[PARITY]
    tokens, groups, lm_weight = search.tokens[now], search.groups[now], scales.lm_weight
    floor = max(cutoff, search.cutoff[0])
    for g in range(search.counts[GROUPS]):
        for t in range(groups[g].begin, groups[g].end):
            token = tokens[t]
            if token.score < floor:  # what is ahead of a word's end is at best what is ahead of the word
                continue
            node = tree.node[token.node]
            leaving = token.score + search.leave[node.senone]
            if node.exit == INSIDE or leaving + word_end_lookahead < cutoff:
                continue
            leaving -= lm_weight * token.ahead
            for leaf in range(node.leaf_begin, node.leaf_end):
                value, place = leaving, g
                if tree.leaf[leaf].word != SILENCE:
                    logprob, following = next_word(grammar, groups[g].state, tree.leaf[leaf].token)
                    value += lm_weight * (logprob + tree.leaf[leaf].logprob)
                    if value + word_end_lookahead < cutoff:
                        continue
                    place = _open_group(grammar, look, search, following)
                if value + word_end_lookahead + lm_weight * groups[place].root < cutoff:
                    continue
                if not _end_word(search, scales, place, node.exit, leaf, token.back, value, frame):
                    return False
    return True


@numba.njit(**PLAIN)
def _end_word(search, scales, group, exit, leaf, back, value, frame):
    """Bring a path to the end of (group, exit), where the best stays; False where there is no room."""
    e = _open_end(search, group, exit)
    if e < 0:
        return False
    end = search.ends[search.counts[PARITY], e]
    if scales.lattice_beam >= 0:
        place = search.counts[ARRIVALS]
        if place == len(search.arrivals):
            search.full[0] = ARRIVALS
            return False
        search.counts[ARRIVALS] += 1
        arrival = search.arrivals[place]
        arrival.record, arrival.leaf, arrival.back, arrival.score = end.record, leaf, back, value
    if value > end.score:
        record = search.records[end.record]
        end.score = record.score = value
        record.leaf, record.end, record.back = leaf, frame, back
    return True


@numba.njit(**PLAIN)
def _open_group(grammar, look, search, state):
    """The place of the state's group in the current set; made, without tokens, where there is none."""
    counts = search.counts
    groups, place = search.groups[counts[PARITY]], search.group_of[state]
    if place < counts[GROUPS] and groups[place].state == state:
        return place
    place = counts[GROUPS]
    counts[GROUPS], search.group_of[state] = place + 1, place
    lm_lookahead(grammar, look, np.int64(state), np.int64(0), np.int64(1), search.ahead)
    group = groups[place]
    group.state, group.begin, group.end, group.root, group.ended = state, 0, 0, search.ahead[0], -1
    return place


@numba.njit(**PLAIN)
def _open_end(search, group, exit):
    """The place of the end of (group, exit) in the current set; made, with score -inf, where there is none.

    An end has a record; -1 where there is no room for one of them.
    """
    counts, owner = search.counts, search.groups[search.counts[PARITY], group]
    ends, place = search.ends[counts[PARITY]], owner.ended
    while place >= 0 and ends[place].exit != exit:  # few words of one state leave through different exits
        place = ends[place].next
    if place >= 0:
        return place
    place, record = counts[ENDS], counts[RECORDS]
    if place == len(ends) or record == len(search.records):
        search.full[0] = ENDS if place == len(ends) else RECORDS
        return -1
    counts[ENDS], counts[RECORDS] = place + 1, record + 1
    end = ends[place]
    end.score, end.group, end.exit, end.next, end.record = -np.inf, group, exit, owner.ended, record
    owner.ended = place
    search.records[record].state = owner.state
    return place


def final_paths(
    tree: Tree, grammar: Grammar, search: SearchState, scales: Scales, acoustic_lookahead: np.ndarray
) -> Any:
    """(record or merge, score with </s>) of the paths on which a word or silence ended with the last frame, and True.

    Where none did, the best token's and False. `acoustic_lookahead` (S,) is the acoustic look-ahead of the last frame.
    """
    now = search.counts[PARITY]
    ends = search.ends[now, : search.counts[ENDS]]
    # beyond the end of a word stands silence
    left = np.where(ends["exit"] == AFTER_SILENCE, 0.0, np.where(tree.pause[ends["exit"]], scales.no_silence, -np.inf))
    states = search.groups["state"][now, ends["group"]]
    score = ends["score"] + left + scales.lm_weight * logprobs(grammar, states, np.full(len(ends), grammar.end))
    whole = score > -np.inf
    if whole.any() or not search.counts[TOKENS]:
        return ends["record"][whole], score[whole], True
    token = search.tokens[now, search.counts[BEST]]
    value = token["score"] - acoustic_lookahead[tree.node["senone"][token["node"]]] - scales.lm_weight * token["ahead"]
    return token["back"].reshape(1), np.array([value]), False


def best_record(search: SearchState, origin: int) -> int:
    """The record of the best path where several met."""
    while origin < 0:
        origin = search.merges["first"][-1 - origin]
    return int(origin)


def common_record(search: SearchState) -> tuple[int, np.ndarray]:
    """The last record that all live paths go through, and the records from there on that any of them goes through.

    Brown, Spohrer, Hochschild and Baker (1982) trace back from all live paths in the same way. Without merges.
    """
    counts, now = search.counts, search.counts[PARITY]
    tokens, ends = search.tokens[now, : counts[TOKENS]], search.ends[now, : counts[ENDS]]
    live = np.unique(np.append(tokens["back"][tokens["score"] >= search.cutoff[0]], ends["record"]))
    paths = np.zeros(counts[RECORDS], np.int64)  # live ones through a record
    paths[live] = 1
    _trace_back(search.records, paths)
    root = int(np.flatnonzero(paths == len(live))[-1])
    return root, root + np.flatnonzero(paths[root:])


def keep_records(search: SearchState, kept: np.ndarray) -> None:
    """Keep only these records, which :func:`common_record` gave; the first becomes record 0."""
    counts, now = search.counts, search.counts[PARITY]
    place = np.zeros(counts[RECORDS], np.int32)
    place[kept] = np.arange(len(kept))
    search.records[: len(kept)] = search.records[kept]
    counts[RECORDS] = len(kept)
    ends, tokens = search.ends["record"][now, : counts[ENDS]], search.tokens["back"][now, : counts[TOKENS]]
    for pointer in (search.records["back"][: len(kept)], tokens, ends):
        pointer[:] = place[pointer]


# Language model and look-ahead queries


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
def lm_lookahead(grammar, look, state, first, count, out):
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


@numba.njit(**PLAIN)
def _cached_lookahead(grammar, look, search, state, first, count):
    """:func:`lm_lookahead` into search.ahead, cached if there are few classes."""
    out = search.ahead
    if count > REMEMBERED:
        lm_lookahead(grammar, look, np.int64(state), np.int64(first), np.int64(count), out)
        return
    key = (np.int64(state) * len(look.base) + first) * REMEMBERED + count - 1
    answer = search.memory[(key * 0x9E3779B97F4A7C1 >> 20) & (MEMORY - 1)]  # another question may take its place
    if answer.asked != key:
        lm_lookahead(grammar, look, np.int64(state), np.int64(first), np.int64(count), answer.ahead)
        answer.asked = key
    for k in range(count):
        out[k] = answer.ahead[k]


@numba.njit(cache=True)
def build_lookahead(grammar, parent, leaf_begin, leaves):
    """Spread each arc's probability from the leaves of its token towards the root, keeping the best."""
    classes, states = len(parent), len(grammar.backoff_state)
    base, best = np.full(classes, -np.inf, np.float32), np.full(classes, -np.inf, np.float32)
    touched = np.empty(classes, np.int32)
    begin = np.zeros(states + 1, np.int64)
    nodes, values = np.empty(1024, np.int32), np.empty(1024, np.float32)
    look = LmLookahead(begin, nodes, values, base)
    backed_off = np.empty(1, np.float32)
    for state in range(states):  # shorter histories first, so the one to back off to is ready
        count = 0
        for arc in range(grammar.arc_begin[state], grammar.arc_begin[state + 1]):
            token = grammar.arc_token[arc]
            for leaf in leaves[leaf_begin[token] : leaf_begin[token + 1]]:
                value, node = grammar.arc_logprob[arc] + leaf.logprob, leaf.look
                while node >= 0 and best[node] < value:
                    if best[node] == -np.inf:
                        touched[count] = node
                        count += 1
                    best[node] = value
                    node = parent[node]
        if state == 0:
            for node in range(classes):  # numba takes 2 s longer to compile base[:] = best
                base[node], best[node] = best[node], -np.inf
            continue
        end = begin[state]
        if end + count > len(nodes):
            nodes = np.append(nodes, np.empty(len(nodes) + count, np.int32))
            values = np.append(values, np.empty(len(values) + count, np.float32))
            look = LmLookahead(begin, nodes, values, base)
        touched[:count].sort()
        for node in touched[:count]:
            lm_lookahead(grammar, look, np.int64(grammar.backoff_state[state]), np.int64(node), np.int64(1), backed_off)
            if best[node] > grammar.backoff_logprob[state] + backed_off[0]:
                nodes[end], values[end] = node, best[node]
                end += 1
            best[node] = -np.inf
        begin[state + 1] = end
    return begin, nodes[: begin[states]].copy(), values[: begin[states]].copy(), base


@numba.njit(**PLAIN)
def _trace_back(records, paths):
    """Add the number of paths through each record (R,) to the one before it, from the last to the first."""
    for r in range(len(paths) - 1, 0, -1):
        paths[records[r].back] += paths[r]


@numba.njit(cache=True)
def logprobs(grammar, states, tokens):
    """ln P(token | state) for each pair; 0 where there is no token (-1)."""
    out = np.zeros(len(states))
    for k in range(len(states)):
        if tokens[k] >= 0:
            out[k] = next_word(grammar, states[k], tokens[k])[0]
    return out


@numba.njit(cache=True)
def acoustic_lookahead(tree, successors, loglikes, block, last):
    """Look-ahead in sound for the first `block` of loglikes (T, S): (B, S) after being in a senone, (B,) after a word.

    Both float32, relative to the frame's best senone. A Viterbi search backwards through the loop
    of senones, with transition probabilities but without a language model. It begins at frame T,
    where the utterance ends if `last`; if not, whatever the last frame's senone may be is as good.
    """
    frames, senones = loglikes.shape
    ahead, word_end_lookahead = np.zeros((frames, senones), np.float32), np.zeros(frames, np.float32)
    coming, best, lowest = np.empty(senones, np.float32), np.empty(senones, np.float32), np.float32(-np.inf)
    staying = np.empty(senones, np.float32)
    if last:
        ahead[-1] = NOT_LAST
        for s in successors.final:
            ahead[-1, s] = tree.forward[s]
    for t in range(frames - 2, -1, -1):  # in loops: numba takes seconds longer to compile sums and slices of arrays
        word = top = lowest
        for s in range(senones):
            coming[s] = loglikes[t + 1, s] + ahead[t + 1, s]
            staying[s] = coming[s]
            best[s] = lowest
        for s in successors.once:
            staying[s] = lowest
        for k in range(len(successors.once)):
            staying[successors.once[k]] = max(staying[successors.once[k]], coming[successors.rest[k]])
        for s in successors.start:
            word = max(word, coming[s])
        for s in successors.end:
            best[s] = word
        for s in range(senones):
            value = best[s]
            for k in range(successors.begin[s], successors.begin[s + 1]):
                value = max(value, coming[successors.target[k]])
            best[s] = max(tree.self_loop[s] + staying[s], tree.forward[s] + value)
            top = max(top, best[s])
        word_end_lookahead[t] = word - top
        for s in range(senones):
            ahead[t, s] = best[s] - top
    return ahead[:block], word_end_lookahead[:block]
