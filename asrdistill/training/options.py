"""Options of training."""

from dataclasses import dataclass, field

from asrdistill.config import option
from asrdistill.errors import UserError
from asrdistill.models.options import NetworkConfig, at_least

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
TAIL_MODES = ("states", "even", "one", "drop")  # see asrdistill.distill.store
LOSSES = ("soft", "logits", "hard")


@dataclass(frozen=True)
class TrainOptions(NetworkConfig):
    epochs: int = option(8, "passes over the training frames")
    batch: int = option(512, "frames in a batch")
    chunk: int = option(1, "neighbouring frames that come into a batch together", since_version="0.1")
    stride: int = option(1, "train on every Nth frame of a chunk (tdnn)", since_version="0.1")
    learning_rate: float = option(1e-3, "peak learning rate of AdamW")
    warmup: float = option(0.05, "share of the updates in which the learning rate rises to its peak")
    weight_decay: float = option(0.01, "AdamW's decoupled weight decay")
    pool_frames: int = option(400_000, "frames held in memory and shuffled together")
    temperature: float = option(2.0, "temperature of soft targets")
    hard_weight: float = option(0.5, "weight of the hard targets' cross-entropy beside T²·CE(soft, T)")
    tail_mode: str = option(
        "states", "what becomes of the mass outside of the kept soft targets", TAIL_MODES, since_version="0.1"
    )
    unlabelled: bool = option(
        False, "learn from the utterances that have soft targets but no alignment as well", since_version="0.1"
    )
    early_stopping: bool = option(
        False, "keep the weights of the epoch that was best on held-out data", since_version="0.1"
    )
    loss: str = option(
        *("soft", "what is learnt of soft targets: them, their logits, or for comparison the hard ones alone", LOSSES),
        since_version="0.1",
    )
    max_norm: float = option(0.0, "largest norm of the weights that come into a unit; 0 for any", since_version="0.1")
    omit: list[str] = field(
        default_factory=list,
        metadata={"help": "phones whose frames are left out: a student that never meets them", "since_version": "0.1"},
    )
    time_masks: int = option(0, "masks over frames of each window that the network sees", since_version="0.1")
    time_mask: int = option(8, "frames that such a mask covers at most", since_version="0.1")
    frequency_masks: int = option(0, "masks over features of each window", since_version="0.1")
    frequency_mask: int = option(8, "features that such a mask covers at most", since_version="0.1")
    seed: int = option(0, "seed of the weights, the order of the frames and dropout")
    threads: int = option(1, "numerical threads; part of what makes a run repeatable")
    device: str = option("auto", "where to train", DEVICES)
    precision: str = option("auto", "arithmetic of the matrix products", PRECISIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "epochs", "batch", "chunk", "stride", "pool_frames", "threads")
        if self.stride > 1 and (self.architecture != "tdnn" or self.chunk == 1):
            raise UserError("a stride above 1 needs the tdnn architecture and chunks; set chunk, or stride to 1")
        at_least(self, 0, "hard_weight", "max_norm", "time_masks", "time_mask", "frequency_masks", "frequency_mask")
        if self.temperature <= 0:
            raise UserError(f"the temperature must be above 0, not {self.temperature:g}")
