"""Check of a search graph's arrays, which the search follows without checking: nothing may lead out of them."""

from typing import Any

import numpy as np

from asrdistill.decode.tree import INSIDE, LEAF, LINK, NODE, SILENCE

TYPES: dict[str, Any] = {"node": [NODE], "child": [LINK], "entry": [LINK], "leaf": [LEAF], "pause": [np.dtype(bool)]}
FLOATS = ("self_loop", "forward", "arc_logprob", "backoff_logprob", "value", "base")
INDICES, FLOAT = [np.dtype(kind) for kind in (np.int32, np.int64, np.uint32)], [np.dtype(np.float32)]
LARGEST = 1e6  # of a logarithm: sums of more would not be finite


def check_bounds(parts: dict[str, Any], words: int, senones: int) -> None:
    """Raise ValueError that names the first array of the parts (tree, grammar, …) whose content is impossible."""
    for part, fields in parts.items():
        for name, array in fields._asdict().items():
            if isinstance(array, np.ndarray):
                place = f"{part}.{name}"
                right = INDICES if place == "look.node" else TYPES.get(name, INDICES)
                _require(place, array.ndim == 1 and array.dtype in (FLOAT if name in FLOATS else right))
                if name in FLOATS:
                    low = array if part == "tree" else np.nan_to_num(array, neginf=0.0, nan=np.inf)
                    _require(place, np.abs(low).max(initial=0) <= LARGEST)
    grammar = parts["grammar"]
    states, arcs = len(grammar.backoff_state), len(grammar.arc_token)
    _offsets("grammar.arc_begin", grammar.arc_begin, states, arcs)
    tokens = int(grammar.arc_begin[1]) if states else 0
    _within("grammar.arc_token", grammar.arc_token, tokens)
    _within("grammar.arc_next", grammar.arc_next, states, arcs)
    _require("grammar.arc_logprob", len(grammar.arc_logprob) == arcs)
    _within("grammar.backoff_state", grammar.backoff_state, states, len(grammar.backoff_logprob))
    _require("grammar.backoff_state", bool((grammar.backoff_state[1:] < np.arange(1, states)).all()))  # no circle
    _require("grammar.start", 0 <= grammar.start < states and 0 <= grammar.end < tokens)
    if "tree" not in parts:
        return
    tree, look, successors = parts["tree"], parts["look"], parts["successors"]
    node, classes, exits, leaves = tree.node[:-1], len(tree.look_parent), len(tree.pause), len(tree.leaf)
    _offsets("tree.node", tree.node["first"], len(node), len(tree.child))
    _within("tree.node", node["exit"], exits, least=INSIDE)
    _within("tree.node", node["stay"], len(node))
    ends = node[node["exit"] != INSIDE]
    _within("tree.node", ends["leaf_end"], leaves + 1)
    _within("tree.node", ends["leaf_begin"], leaves + 1)
    for name, links in (("node", node), ("child", tree.child), ("entry", tree.entry)):
        _within(f"tree.{name}", links["senone"], senones)
        _within(f"tree.{name}", links["look"], classes)
        _within(f"tree.{name}", links["node"] if name != "node" else np.empty(0), len(node))
    _rising("tree.child", tree.child["look"], tree.node["first"], 0)
    _offsets("tree.entry_begin", tree.entry_begin, exits, len(tree.entry))
    _within("tree.initial", tree.initial, senones)
    _offsets("tree.right_begin", tree.right_begin, exits if len(tree.exit_left) else -1, len(tree.right))
    roots = len(tree.root_class)
    _require("tree.root_begin", roots == 0 or (len(tree.root_begin) - 1) % roots == 0)
    _offsets("tree.root_begin", tree.root_begin, len(tree.root_begin) - 1, len(tree.root_node))
    _within("tree.root_node", tree.root_node, len(node))
    _require("tree.self_loop", len(tree.self_loop) == len(tree.forward) == senones)
    _within("tree.leaf", tree.leaf["word"], words, least=SILENCE)
    _within("tree.leaf", tree.leaf["token"], tokens, least=SILENCE)
    _require("tree.leaf", bool((tree.leaf["token"][tree.leaf["word"] != SILENCE] != SILENCE).all()))
    _require("tree.leaf", float(np.abs(tree.leaf["logprob"]).max(initial=0)) <= LARGEST)
    _require("tree.roots", 0 <= tree.roots < classes and len(node) > 0 and exits > 1)
    _offsets("look.begin", look.begin, states, len(look.node))
    _within("look.node", look.node, classes, len(look.value))
    _rising("look.node", look.node, look.begin, 1)
    _require("look.base", len(look.base) == classes)
    _offsets("successors.begin", successors.begin, senones, len(successors.target))
    for name in ("target", "start", "end", "final", "once", "rest"):
        _within(f"successors.{name}", getattr(successors, name), senones)
    _require("successors.rest", len(successors.once) == len(successors.rest))


def _require(name: str, right: Any) -> None:
    if not right:
        raise ValueError(name)


def _within(name: str, values: np.ndarray, below: int, size: int | None = None, least: int = 0) -> None:
    _require(name, size in (None, len(values)))
    _require(name, not len(values) or (int(values.min()) >= least and int(values.max()) < below))


def _offsets(name: str, values: np.ndarray, rows: int, size: int) -> None:
    """Each row r has the places values[r] … values[r + 1] - 1 of `size`."""
    _within(name, values, size + 1, rows + 1)
    _require(name, bool((values[1:] >= values[:-1]).all()))


def _rising(name: str, values: np.ndarray, begins: np.ndarray, step: int) -> None:
    """Values rise by `step` or more, but for where a row begins."""
    falls = 1 + np.flatnonzero(np.diff(values.astype(np.int64)) < step)
    _require(name, bool(np.isin(falls, begins).all()))
