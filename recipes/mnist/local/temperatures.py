"""Train and evaluate narrow and wide students of each teacher at several temperatures, side by side.

Makes EXP/narrow_T.SEED and EXP/wide_T.SEED from EXP/targets.SEED, and their EXP/frames/MODEL/test. Soft targets alone.

Example:
  python recipes/mnist/local/temperatures.py data/corpus exp --seeds 0 1 2 --config conf/mnist/student.yaml
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrdistill import parallel, stage
from asrdistill.cli.command import JOBS, Args, Group, arg, count
from asrdistill.config import build, hash_fields, read_yaml
from asrdistill.distill.train import train_model
from asrdistill.scoring.frames import evaluate
from asrdistill.training.options import TrainOptions

TEMPERATURES = ("1", "2", "2.5", "4", "8", "20")
group = Group("temperatures.py")
FORMS: dict[str, dict[str, Any]] = {
    "narrow": {"width": 30, "epochs": 80, "learning_rate": 3e-3},
    "wide": {"width": 300},
}


@dataclass(frozen=True)
class Student:
    corpus: Path
    exp: Path
    name: str
    seed: int
    options: TrainOptions

    def make(self) -> None:
        """Train and evaluate, unless both are up to date."""
        features, alignment = self.corpus / "features", self.corpus / "ali"
        targets, model = self.exp / f"targets.{self.seed}", self.exp / f"{self.name}.{self.seed}"
        train, test = (features / "train", alignment / "train"), (features / "test", alignment / "test")
        stage.make(
            model,
            lambda out: train_model(*train, targets, None, self.options, out),
            "train",
            hash_fields(self.options),
            [*train, targets],
        )
        frames = self.exp / "frames" / model.name / "test"
        stage.make(frames, lambda out: evaluate(model, *test, out, 1), "evaluate", {}, [model, *test])


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
    values, students = read_yaml(args.config), []
    for temperature in TEMPERATURES:
        for form, changes in FORMS.items():
            for seed in args.seeds:
                options = {**values, **changes, "hard_weight": 0.0, "temperature": float(temperature), "seed": seed}
                if args.epochs:
                    options["epochs"] = args.epochs
                name = f"{form}_{temperature}"
                built = build(TrainOptions, options, str(args.config))
                students.append(Student(args.corpus, args.exp, name, seed, built))
    list(parallel.map_utterances(Student.make, students, args.jobs, "students", unit="students"))


if __name__ == "__main__":
    sys.exit(group.main())
