"""Options of the networks, apart from them so that reading them loads no torch."""

from dataclasses import dataclass

from asrdistill.config import option


@dataclass(frozen=True)
class DnnOptions:
    layers: int = option(4, "hidden layers")
    width: int = option(512, "units in a hidden layer")
    left: int = option(20, "frames of context before the classified frame")
    right: int = option(5, "frames of context after it")
    dropout: float = option(0.0, "share of hidden units that are dropped in training")


COMBINATIONS = ("arithmetic", "geometric")  # how an ensemble averages its members' distributions
