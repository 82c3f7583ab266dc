"""Options of the networks, apart from them so that reading them loads no torch."""

from dataclasses import dataclass, field

from asrdistill.config import option

ARCHITECTURES = ("dnn", "tdnn", "gru")


@dataclass(frozen=True)
class DnnOptions:
    """What rebuilds a network; see :mod:`asrdistill.models.dnn`, :mod:`~asrdistill.models.tdnn`, and `gru`."""

    architecture: str = option(
        "dnn", "the paper's DNN, a small time-delay network, or a recurrent one", ARCHITECTURES, since_version="0.1"
    )
    layers: int = option(4, "hidden layers (dnn, gru)")
    width: int = option(512, "units in a hidden layer")
    left: int = option(20, "frames of context before the classified frame; of a gru, before a chunk in training")
    right: int = option(5, "frames of context after it")
    dropout: float = option(0.0, "share of hidden units that are dropped in training")
    dilations: list[int] = field(
        default_factory=lambda: [1, 2, 3, 4],
        metadata={"help": "a block for each, which looks at every so manieth frame (tdnn)", "since_version": "0.1"},
    )
    taps: int = option(3, "frames that a block looks at (tdnn)", since_version="0.1")
    widths: list[float] = field(
        default_factory=list,
        metadata={
            "help": "shares of the width that are trained as networks of their own as well (dnn)",
            "since_version": "0.1",
        },
    )


COMBINATIONS = ("arithmetic", "geometric")  # how an ensemble averages its members' distributions
