"""The lexicon as a prefix tree over HMM states, in flat arrays.

Words that begin with the same phones share the nodes of these phones; a node is one HMM state. The
children of a node are neighbours (nodes are numbered breadth first), and the nodes that a word can
begin with are the first ones. Silence is one more branch of the root, at whose end stands no word.

Look-ahead classes: nodes from which the same pronunciations can be reached have the same best
language model score ahead of them, so such a run of nodes shares one class. Class 0 is the root.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError, shorten

SILENCE = -1  # stands in `leaf_word` and `leaf_token` at the end of the silence branch


class Tree(NamedTuple):
    """N nodes, L leaves (ends of pronunciations), A look-ahead classes. Log-probabilities are natural."""

    roots: int  # nodes 0 … roots - 1 begin a word; node 0 begins silence
    senone: np.ndarray  # (N,) int32
    self_loop: np.ndarray  # (N,) float32: log P(stay in the node)
    forward: np.ndarray  # (N,) float32: log P(leave it)
    child_begin: np.ndarray  # (N + 1,) int32: node n's children are child_begin[n] … child_begin[n + 1] - 1
    look: np.ndarray  # (N,) int32: look-ahead class
    look_parent: np.ndarray  # (A,) int32: the class above; the root's is -1
    leaf_begin: np.ndarray  # (N + 1,) int32: leaves at node n, as for children
    leaf_word: np.ndarray  # (L,) int32: index into the words, or SILENCE
    leaf_token: np.ndarray  # (L,) int32: the word's token in the language model, or SILENCE
    leaf_logprob: np.ndarray  # (L,) float32: log-probability of the pronunciation


class _Node:
    """One HMM state while the tree grows."""

    def __init__(self, senone: int):
        self.senone = senone
        self.children: dict[Any, _Node] = {}  # by (phone, state)
        self.leaves: list[tuple[int, int, float]] = []  # word, token, log-probability


def build_tree(lang: Any, senones: Any, tokens: Mapping[str, int]) -> Tree:
    """Compile the pronunciations of the words that have a token in the language model.

    `lang` is a :class:`asrdistill.lang.lexicon.Lang`, `senones` the inventory whose states the
    phones are made of, `tokens` gives the language model's token of each word to be recognised.
    Raises UserError for phones that the senone inventory lacks.
    """
    if missing := sorted({lang.silence, *lang.phones} - senones.states.keys()):
        raise UserError(
            f"the senone inventory lacks phones of the lexicon: {shorten(missing)}; train it with this lang"
        )
    root = _Node(-1)
    _grow(root, [lang.silence], senones.states, (SILENCE, SILENCE, 0.0))
    words = _Node(-1)  # a word may begin with the silence phone, so its branches are kept apart
    for index, word in enumerate(lang.words):
        if word in tokens:
            for probability, phones in lang.pronunciations[word]:
                _grow(words, phones, senones.states, (index, tokens[word], float(np.log(probability))))
    root.children.update({("word", *key): node for key, node in words.children.items()})
    return _flatten(root, senones.self_loop, senones.forward)


def _grow(node: _Node, phones: Any, states: Mapping[str, list[int]], leaf: tuple[int, int, float]) -> None:
    for phone in phones:
        for position, senone in enumerate(states[phone]):
            node = node.children.setdefault((phone, position), _Node(senone))
    node.leaves.append(leaf)


def _flatten(root: _Node, self_loop: np.ndarray, forward: np.ndarray) -> Tree:
    nodes, child_begin, look, look_parent = list(root.children.values()), [len(root.children)], [0], [-1]
    for _ in nodes[1:]:  # silence stays in the root's class
        look.append(len(look_parent))
        look_parent.append(0)
    queue = deque(enumerate(nodes))
    while queue:
        number, node = queue.popleft()
        shares = len(node.children) == 1 and not node.leaves
        for child in node.children.values():
            if shares:
                look.append(look[number])
            else:
                look.append(len(look_parent))
                look_parent.append(look[number])
            queue.append((len(nodes), child))
            nodes.append(child)
        child_begin.append(len(nodes))
    senone = np.array([node.senone for node in nodes], np.int32)
    leaves = [leaf for node in nodes for leaf in node.leaves]
    return Tree(
        roots=len(root.children),
        senone=senone,
        self_loop=self_loop[senone].astype(np.float32),
        forward=forward[senone].astype(np.float32),
        child_begin=np.array(child_begin, np.int32),
        look=np.array(look, np.int32),
        look_parent=np.array(look_parent, np.int32),
        leaf_begin=np.cumsum([0] + [len(node.leaves) for node in nodes], dtype=np.int32),
        leaf_word=np.array([word for word, _, _ in leaves], np.int32),
        leaf_token=np.array([token for _, token, _ in leaves], np.int32),
        leaf_logprob=np.array([logprob for _, _, logprob in leaves], np.float32),
    )
