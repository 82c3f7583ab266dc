"""Options of training."""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError
from asrdistill.models.options import NetworkConfig, at_least

PRECISIONS = ("auto", "float32", "bfloat16")
TAIL_MODES = ("states", "even", "one", "drop")  # see asrdistill.distill.store
OPTIMISERS = ("adamw", "muon")
LOSSES = ("soft", "logits", "hard", "mmi")


@dataclass(frozen=True)
class TrainOptions(NetworkConfig):
    epochs: int = option(8, "passes over the training frames")
    batch: int = option(512, "frames in a batch")
    chunk: int = option(1, "consecutive frames drawn together", since_version="0.1")
    stride: int = option(1, "train on every Nth frame of a chunk", since_version="0.1")
    optimiser: str = option(
        "adamw",
        "AdamW, or Muon for the matrices of hidden layers and AdamW for the rest",
        OPTIMISERS,
        since_version="0.2",
    )
    learning_rate: float = option(1e-3, "peak learning rate")
    warmup: float = option(0.05, "fraction of the updates with rising learning rate")
    weight_decay: float = option(0.01, "decoupled weight decay")
    pool_frames: int = option(400_000, "frames held in memory and shuffled together")
    temperature: float = option(2.0, "temperature of soft targets")
    hard_weight: float = option(0.5, "weight of the hard-target cross-entropy beside T²·CE(soft, T)")
    tail_mode: str = option(
        "states", "how the mass outside the kept soft targets enters the loss", TAIL_MODES, since_version="0.1"
    )
    unlabelled: bool = option(False, "also train on utterances with soft targets but no alignment", since_version="0.1")
    early_stopping: bool = option(False, "keep the epoch with the best held-out accuracy", since_version="0.1")
    loss: str = option(
        "soft",
        "students: soft cross-entropy, logit matching, or hard targets only; or sequences of phones (LF-MMI)",
        LOSSES,
        since_version="0.1",
    )
    phone_order: int = option(4, "mmi: order of the phone n-gram", since_version="0.2")
    phone_histories: int = option(2000, "mmi: most of its histories of two and more phones", since_version="0.2")
    tolerance: int = option(5, "mmi: frames that a phone may be earlier or later than aligned", since_version="0.2")
    leak: float = option(1e-5, "mmi: probability of leaving the graph's paths at an output", since_version="0.2")
    cross_entropy_weight: float = option(
        0.1, "mmi: weight of the cross-entropy of a second output layer, for training only", since_version="0.2"
    )
    output_l2: float = option(5e-5, "mmi: weight of half the squared outputs", since_version="0.2")
    max_norm: float = option(0.0, "largest norm of a unit's incoming weights; 0: no limit", since_version="0.1")
    omit: list[str] = option([], "phones whose frames are left out of training", since_version="0.1")
    time_masks: int = option(0, "SpecAugment: time masks per chunk", since_version="0.1")
    time_mask: int = option(8, "longest time mask, frames", since_version="0.1")
    frequency_masks: int = option(0, "SpecAugment: frequency masks per chunk", since_version="0.1")
    frequency_mask: int = option(8, "widest frequency mask, features", since_version="0.1")
    seed: int = option(0, "seed of the weights, the order of the frames and dropout")
    threads: int = option(1, "numerical threads; results depend on it")
    device: str = option("auto", "device: auto, cpu, cuda or cuda:N")
    precision: str = option("auto", "precision of matrix products", PRECISIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "epochs", "batch", "chunk", "stride", "pool_frames", "threads")
        if self.stride > 1 and self.chunk == 1:
            raise UserError("a stride above 1 needs chunks; set chunk, or stride to 1")
        at_least(self, 0, "hard_weight", "max_norm", "time_masks", "time_mask", "frequency_masks", "frequency_mask")
        at_least(self, 0, "phone_histories", "tolerance", "leak", "cross_entropy_weight", "output_l2")
        if self.loss == "mmi" and self.chunk == 1:
            raise UserError("loss mmi is of sequences; set chunk to the outputs of one, about 50")
        if self.temperature <= 0:
            raise UserError(f"the temperature must be above 0, not {self.temperature:g}")
