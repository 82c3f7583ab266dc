"""Mutate files of every format, kill commands at every rename and fsync, fill disks, bring inputs of unusual sizes.

What it does is in tests/faults.

Example:
  python tools/bench/faults.py /tmp/faults --cases 10000 --kills 5 --disks --sizes
"""

import sys

from common import ROOT, arguments, finish

sys.path[:0] = [str(ROOT), str(ROOT / "recipes/amazon_queen/local")]

from tests.faults.bench import add_arguments, measure  # noqa: E402

if __name__ == "__main__":
    parser = arguments(__doc__)
    add_arguments(parser)
    figures = measure(parser.parse_args())
    finish(figures)
    sys.exit(figures["faults"] > 0)
