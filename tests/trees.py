"""Senones by the definition: down a decision tree, question by question."""

from asrdistill.hmm.senones import SIDES, Senones, Tree, side_of
from asrdistill.lang.lexicon import root_of


def between(senones: Senones, left: str, phone: str, right: str) -> list[int]:
    """The senones of a phone between two phones, in the order of its states."""
    beside = dict(zip(SIDES, (left, phone, right), strict=True))

    def senone(tree: Tree) -> int:
        while isinstance(tree, dict):
            side = side_of(tree)
            tree = tree["yes" if beside[side] in tree[side].split() else "no"]
        return tree

    return [senone(tree) for tree in senones.states[root_of(phone)]]
