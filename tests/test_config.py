import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from asrdistill.config import add_options, build, option, resolve
from asrdistill.reader import read_yaml
from tests.refusals import refused


@dataclass(frozen=True)
class Options:
    bins: int = option(40, "number of filters")
    rate: float = option(0.1, "how fast")
    dither: bool = option(False, "whether")
    window: str = option("povey", "which", choices=("povey", "hann"))
    limit: float | None = option(None, "at most so much")


def given(*argv: str, config: Path | None = None) -> Options:
    parser = argparse.ArgumentParser()
    add_options(parser, Options)
    return resolve(Options, parser.parse_args([*argv, *(("--config", str(config)) if config else ())]))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.yaml"

    def write(text: str) -> Path:
        path.write_text(text)
        return path

    return write


def test_flags_override_the_file_which_overrides_the_defaults(file):
    assert given() == Options()
    config = file("bins: 23\nrate: 0.5\n")
    assert given(config=config) == Options(bins=23, rate=0.5)
    assert given("--bins", "30", config=config) == Options(bins=30, rate=0.5)
    assert given("--dither", "--limit", "3") == Options(dither=True, limit=3.0)
    assert given("--no-dither", config=file("dither: true")) == Options()


def test_yaml_numbers_and_null_are_read(file):
    assert given(config=file("rate: 1e-3\nlimit: 2\n")) == Options(rate=0.001, limit=2.0)
    assert given(config=file("limit: null")) == Options()
    assert given(config=file("")) == Options()
    assert given(config=file("# only a comment\n")) == Options()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("bin: 3", ["'bin'", "'bins'"]),
        ("colour: red", ["'colour'", "bins", "rate"]),
        ("bins: 3.5", ["'bins'", "3.5"]),
        ("bins: many", ["'bins'", "'many'"]),
        ("bins: true", ["'bins'", "True"]),
        ("rate: fast", ["'rate'", "'fast'"]),
        ("rate: true", ["'rate'", "True"]),
        ("dither: 1", ["'dither'", "1"]),
        ("bins: null", ["'bins'", "None"]),
        ("window: boxcar", ["'window'", "'boxcar'", "povey", "hann"]),
        ("- bins", ["'key: value'"]),
        ("bins: [", ["line 1", "YAML"]),
        ("bins: !!python/object/apply:os.getcwd []", ["line 1", "YAML", "os.getcwd"]),
    ],
)
def test_bad_files_are_refused(file, text, names):
    with refused(file(text), *names):
        given(config=file(text))


def test_missing_file_is_refused(tmp_path):
    with refused(tmp_path / "none.yaml"):
        read_yaml(tmp_path / "none.yaml")


def test_bad_flags_are_refused():
    with pytest.raises(SystemExit):
        given("--dither", "perhaps")
    with pytest.raises(SystemExit):
        given("--bins", "many")
    with pytest.raises(SystemExit):
        given("--window", "boxcar")


def test_build():
    assert build(Options, {"bins": 5}, "here") == Options(bins=5)
