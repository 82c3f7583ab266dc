"""The assertions about errors can fail."""

import pytest

from asrdistill.errors import UserError
from tests.refusals import assert_names, assert_refused, only_line, refused


def raise_user_error(message):
    raise UserError(message)


def test_names_are_found_in_the_message(tmp_path):
    with refused("line 3", tmp_path / "x.txt", "--prune"):
        raise_user_error(f"{tmp_path}/x.txt, line 3: bad --prune")


@pytest.mark.parametrize("message", ["line 31", "baseline 3", "line 3. One. Two.", ""])
def test_other_names_and_long_messages_fail(message):
    with pytest.raises(AssertionError), refused("line 3"):
        raise_user_error(message)


def test_no_error_and_other_types_fail():
    with pytest.raises(pytest.fail.Exception), refused("line 3"):
        pass
    with pytest.raises(ValueError, match="line 3"), refused("line 3"):
        raise ValueError("line 3")


def test_folders_named_after_the_test_do_not_count(tmp_path):
    with pytest.raises(AssertionError):
        assert_names(f"{tmp_path}/x", "test", "folders")


def test_command_lines_that_pass_or_print_more_fail(capsys):
    with pytest.raises(AssertionError, match="exit code 0"):
        assert_refused(["--help"], "asrdistill")
    with pytest.raises(AssertionError):
        assert_refused(["score"], "transcribe")
    for text in ("Traceback (most recent call last):\n", "asrdistill: one\nasrdistill: two", "usage: x\nx: y", ""):
        with pytest.raises(AssertionError):
            only_line(text)
