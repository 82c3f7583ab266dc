"""Assertions about errors: the type, the exit code and the names in the message, never its sentences."""

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Sequence

import pytest

from asrdistill.errors import UserError

Program = Callable[[list[str]], int]
TEMPORARY = re.compile(r"[^\s'\":,;]*/pytest-of-[^/\s]+/pytest-\d+/(?:popen-gw\d+/)?[^/\s'\":,;]+")


def assert_names(text: str, *names: object) -> None:
    """``text`` contains each of ``names`` as a whole word: ``line 3`` is not found in ``line 31``.

    Folders of pytest's ``tmp_path`` are cut from both, as they carry the name of the test.
    """
    assert names, "name at least one thing that the message must contain"
    bare = TEMPORARY.sub("", text)
    for name in names:
        wanted = TEMPORARY.sub("", str(name))
        assert wanted, f"{name} names nothing"
        before, after = r"(?<!\w)" * wanted[0].isalnum(), r"(?!\w)" * wanted[-1].isalnum()
        assert re.search(before + re.escape(wanted) + after, bare), f"'{wanted}' is not named in: {text}"


def assert_short(message: str) -> None:
    """One line of at most two sentences."""
    assert message.strip(), "the message is empty"
    assert len(message.splitlines()) == 1, f"the message has several lines: {message}"
    assert len(re.split(r"[.!?] (?=[A-Z])", message)) <= 2, f"the message has more than two sentences: {message}"


@contextlib.contextmanager
def refused(*names: object, error: type[Exception] = UserError) -> Iterator[pytest.ExceptionInfo]:
    """The block raises ``error``, whose short message names each of ``names``."""
    with pytest.raises(error) as caught:
        yield caught
    if error is UserError:
        assert_short(str(caught.value))
    assert_names(str(caught.value), *names)


def assert_refused(arguments: Sequence[object], *names: object, code: int = 2, program: Program | None = None) -> str:
    """``program`` exits with ``code`` and one short line on stderr that names ``names``; returns this line.

    ``program`` is a function of the arguments that returns the exit code, the command line ``asrdistill`` by default.
    """
    from asrdistill.cli import main

    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        status = (program or main)([str(argument) for argument in arguments])
    text = stderr.getvalue()
    assert status == code, f"exit code {status} instead of {code}: {text}"
    line = only_line(text)
    assert_names(line, *names)
    return line


def only_line(stderr: str) -> str:
    """The one line ``program: what is wrong`` that a refused command wrote to stderr."""
    assert re.match(r"[\w.]+(?: [\w-]+)*: \S", stderr), stderr
    assert_short(stderr)
    return stderr.rstrip("\n")
