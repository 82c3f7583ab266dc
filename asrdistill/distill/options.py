"""Options of the soft-target store, apart from it so that reading them loads no torch."""

from dataclasses import dataclass, field

from asrdistill.config import option


@dataclass(frozen=True)
class StoreOptions:
    keep: int = option(20, "senones kept a frame, the most probable ones; 0 for all")
    temperatures: list[float] = field(
        default_factory=lambda: [1.0, 2.0], metadata={"help": "temperatures that the store is made for"}
    )
