"""Options of the soft-target store and of senone clustering."""

from dataclasses import dataclass

from asrdistill.config import option


@dataclass(frozen=True)
class StoreOptions:
    keep: int = option(20, "senones kept a frame, the most probable ones; 0 for all")
    temperatures: list[float] = option([1.0, 2.0], "temperatures that the store is made for")


CLUSTER_BY = ("confusion", "phones")  # what makes senones fall into one specialist's set
SOFTMAXES = ("dustbin", "own", "full")  # its outputs: its own senones and a dustbin for all others, its own, or all


@dataclass(frozen=True)
class ClusterOptions:
    clusters: int = option(15, "senone sets: one per specialist")
    size: int = option(80, "senones per set")
    by: str = option(
        "confusion", "what is clustered: senones by their confusion, or whole phones by theirs", CLUSTER_BY
    )
    seed: int = option(0, "seed of the clustering")
