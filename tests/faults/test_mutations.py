"""A thousand mutated files of all formats, from a seed that is new in each run: tools/bench/faults.py has more."""

import random

import pytest

from tests.faults.harness import BAD, faults, mutate, summary

SEED = random.SystemRandom().getrandbits(32)


@pytest.mark.slow
def test_mutated_files_end_in_a_sentence_or_are_read_rightly(tmp_path):
    records = mutate(tmp_path / "faults", 1000, SEED)
    table, counts = summary(records)
    found = "\n".join(faults(records))
    assert not any(counts[how] for how in BAD), f"seed {SEED}\n{table}\n{found}"
    assert counts["cases"] > 900
    assert counts["refused"] > 300
