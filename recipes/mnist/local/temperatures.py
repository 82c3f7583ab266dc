"""Train and evaluate narrow and wide students of each teacher at several temperatures, side by side.

Makes EXP/narrow_T.SEED and EXP/wide_T.SEED from EXP/targets.SEED, and their EXP/frames/MODEL/test. Soft targets alone.

Example:
  python recipes/mnist/local/temperatures.py data/corpus exp --seeds 0 1 2 --config conf/mnist/student.yaml
"""

import itertools
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from asrdistill import parallel, stage
from asrdistill.cli.command import JOBS, Args, Group, arg, count
from asrdistill.config import build, hash_fields
from asrdistill.distill.train import train_model
from asrdistill.reader import read_yaml
from asrdistill.scoring.frames import evaluate
from asrdistill.training.options import TrainOptions

TEMPERATURES = ("1", "2", "2.5", "4", "8", "20")
group = Group("temperatures.py")
FORMS: dict[str, dict[str, Any]] = {
    "narrow": {"width": 30, "epochs": 80, "learning_rate": 3e-3},
    "wide": {"width": 300},
}


class Student(NamedTuple):
    corpus: Path
    model: Path  # folder to make
    options: TrainOptions

    def make(self) -> None:
        """Train and evaluate, unless both are up to date."""
        features, alignment = self.corpus / "features", self.corpus / "ali"
        train, test = (features / "train", alignment / "train"), (features / "test", alignment / "test")
        targets = self.model.parent / f"targets.{self.options.seed}"
        work = partial(train_model, *train, targets, None, self.options)
        stage.make(self.model, work, "train", hash_fields(self.options), [*train, targets])
        frames = self.model.parent / "frames" / self.model.name / "test"
        stage.make(frames, lambda out: evaluate(self.model, *test, out, 1), "evaluate", {}, [self.model, *test])


@group.command(
    arg("corpus", help="folder that mnist.py prepare made"),
    arg("exp", help="folder with targets.SEED"),
    arg("--seeds", type=int, nargs="+", default=[0], help="seeds of the teachers (default: 0)"),
    arg("--config", required=True, metavar="YAML", help="options of a student's training"),
    arg("--epochs", type=count, help="epochs of all trainings, for a quick look"),
    JOBS,
)
def _(args: Args) -> None:
    """Train and evaluate narrow and wide students of each teacher at several temperatures, side by side"""
    students = []
    for temperature, (form, changes), seed in itertools.product(TEMPERATURES, FORMS.items(), args.seeds):
        options = {**read_yaml(args.config), **changes, "hard_weight": 0.0}
        options |= {"temperature": float(temperature), "seed": seed}
        if args.epochs:
            options["epochs"] = args.epochs
        model = args.exp / f"{form}_{temperature}.{seed}"
        students.append(Student(args.corpus, model, build(TrainOptions, options, str(args.config))))
    list(parallel.map_utterances(Student.make, students, args.jobs, "students", unit="students"))


if __name__ == "__main__":
    sys.exit(group.main())
