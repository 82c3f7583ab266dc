"""A new option at its default keeps earlier results up to date."""

from dataclasses import dataclass

from asrdistill import stage
from asrdistill.config import hash_fields, option


@dataclass(frozen=True)
class Before:
    width: int = option(8, "units")


@dataclass(frozen=True)
class After:
    width: int = option(8, "units")
    trick: str = option("none", "something new", since_version="0.1")
    many: bool = option(False, "another", since_version="0.1")


def test_an_idle_later_option_makes_nothing_again(tmp_path):
    made = []

    def make(options):
        return stage.make(tmp_path / "out", lambda out: made.append(out), "verb", options, [])

    assert make(Before(9))
    assert not make(After(9))
    assert make(After(9, "on"))
    assert make(After(8, "on"))
    assert len(made) == 3


def test_defaults_of_added_options_are_not_hashed():
    assert hash_fields(After()) == {"width": 8}
    assert hash_fields(After(many=True)) == {"width": 8, "many": True}
