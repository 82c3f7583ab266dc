"""Calibrate word confidences on a set whose words are known, or measure how true they are on another.

DECODED is a folder with words.ctm, from decode with a lattice beam or from rescore; TEXT says what was
said. OUT gets calibration.json, which rescore --calibration applies, confidence.json with normalised
cross-entropy (NIST) and expected calibration error over ten bins, and reliability.png. With
--calibration nothing is fitted: that calibration is measured.

Example:
  asrdistill confidence exp/decode/student/dev data/dev/text exp/confidence
  asrdistill confidence exp/decode/student/test data/test/text exp/confidence_test --calibration exp/confidence
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("decoded", type=Path, help="folder with words.ctm, not calibrated yet")
    parser.add_argument("text", type=Path, help="what was said: Kaldi text")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="measure this one")


def run(args: argparse.Namespace) -> None:
    from asrdistill.results.calibrate import calibrate

    inputs = [path for path in (args.decoded, args.text, args.calibration) if path]
    stage.make(
        args.out, lambda out: calibrate(args.decoded, args.text, args.calibration, out), "confidence", {}, inputs
    )
