"""The table of measurements: pooling, and appending that survives kills and repetition."""

import pytest

from asrdistill.results.measurements import HEADER, Measurement, Measurements, append, read
from tests.refusals import refused

ROWS = [
    Measurement("student", "0", "dev", "wer", 50.0, 4, "decode/student.0/dev"),
    Measurement("student", "0", "test", "wer", 20.0, 10, "decode/student.0/test"),
    Measurement("student", "1", "dev", "wer", 25.0, 4, "decode/student.1/dev"),
    Measurement("student", "1", "test", "wer", 30.0, 10, "decode/student.1/test"),
]


def test_sets_are_pooled_by_their_counts_and_seeds_averaged():
    table = Measurements(ROWS)
    assert table.values("student", "wer", "dev", "test") == pytest.approx([100 * 4 / 14, 100 * 4 / 14])
    assert table.mean("student", "wer", "dev") == 37.5
    assert table.total("student", "wer", "dev", "test") == (8, 28)


def test_a_set_that_was_not_measured_gives_nothing():
    assert Measurements(ROWS).values("student", "wer", "dev", "eval") == []
    assert Measurements(ROWS).mean("teacher", "wer", "dev") is None


def test_equal_rows_are_appended_once_and_changed_ones_count_last(tmp_path):
    path = tmp_path / "exp/measurements.tsv"
    assert append(path, ROWS) == 4
    assert append(path, ROWS) == 0
    assert append(path, [ROWS[0]._replace(value=75.0), *ROWS[1:]]) == 1
    assert len(read(path)) == 5
    assert path.read_text().startswith(HEADER + "\n")
    assert Measurements(read(path)).values("student", "wer", "dev") == [75.0, 25.0]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_row_that_a_kill_cut_off_is_replaced(tmp_path, cut):
    path = tmp_path / "measurements.tsv"
    append(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read(path) == ROWS[:3]
    assert append(path, ROWS) == 1
    assert path.read_bytes() == whole


def test_a_line_that_is_no_row_is_refused(tmp_path):
    path = tmp_path / "measurements.tsv"
    path.write_text(f"{HEADER}\nstudent\t0\tdev\n")
    with refused(path, "line 2"):
        read(path)


def test_a_name_with_a_tab_is_refused(tmp_path):
    with refused("decode/student.0/dev"):
        append(tmp_path / "measurements.tsv", [ROWS[0]._replace(system="a\tb")])
