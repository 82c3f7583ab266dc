"""Configuration of the networks."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError

ARCHITECTURES = ("dnn", "tdnn", "tdnnf", "gru")  # asrdistill.models.registry has their classes


@dataclass(frozen=True)
class NetworkConfig:
    """What rebuilds a network. Raises UserError for values that do not fit together."""

    architecture: str = option(
        "dnn", "feed-forward, time-delay, factored time-delay or recurrent network", ARCHITECTURES, since_version="0.1"
    )
    layers: int = option(4, "hidden layers (dnn, gru)")
    width: int = option(512, "units per hidden layer")
    left: int = option(20, "frames of context before the classified frame; for gru, before a chunk in training")
    right: int = option(5, "frames of context after it")
    dropout: float = option(0.0, "fraction of hidden units that are dropped in training")
    dilations: list[int] = option(
        [1, 2, 3, 4], "one residual block per dilation, in frames (tdnn, tdnnf)", since_version="0.1"
    )
    taps: int = option(3, "frames that a block combines (tdnn)", since_version="0.1")
    widths: list[float] = option(
        [], "fractions of the width that are trained along as networks of their own (dnn)", since_version="0.1"
    )

    def __post_init__(self) -> None:
        at_least(self, 1, "layers", "width", "taps")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be at least 0 and below 1, not {self.dropout:g}")
        if bad := [fraction for fraction in self.widths if not 0 < fraction <= 1]:
            raise UserError(f"widths must be above 0 and at most 1, not {bad[0]:g}")
        if self.widths and self.architecture != "dnn":
            raise UserError(f"widths are for the dnn architecture, not for {self.architecture}; leave them out")
        if min(self.dilations, default=1) < 1:
            raise UserError(f"dilations must be at least 1, not {self.dilations}")


def at_least(options: object, least: float, *names: str) -> None:
    """Raise UserError if one of these fields is below a bound."""
    for name in names:
        if (value := getattr(options, name)) < least:
            raise UserError(f"{name} must be at least {least:g}, not {value:g}")


COMBINATIONS = ("arithmetic", "geometric")  # how an ensemble averages its members' distributions
