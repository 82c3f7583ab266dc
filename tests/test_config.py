import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from asrdistill.config import add_options, build, option, read_yaml, resolve
from asrdistill.errors import UserError


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


def test_numbers_as_yaml_writes_them(file):
    assert given(config=file("rate: 1e-3\nlimit: 2\n")) == Options(rate=0.001, limit=2.0)
    assert given(config=file("limit: null")) == Options()
    assert given(config=file("")) == Options()
    assert given(config=file("# only a comment\n")) == Options()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("bin: 3", r"unknown configuration key 'bin' in .*some\.yaml; did you mean 'bins'"),
        ("colour: red", "unknown configuration key 'colour' .* known keys: bins, rate"),
        ("bins: 3.5", "'bins' in .* must be a int, not 3.5"),
        ("bins: many", "'bins' in .* must be a int"),
        ("bins: true", "'bins' in .* must be a int"),
        ("rate: fast", "'rate' in .* must be a float"),
        ("rate: true", "'rate' in .* must be a float"),
        ("dither: 1", "'dither' in .* must be a bool"),
        ("bins: null", "'bins' in .* must be a int"),
        ("window: boxcar", "'window' in .* must be one of povey, hann"),
        ("- bins", "must be a list of 'key: value' lines"),
        ("bins: [", "is not valid YAML"),
        ("bins: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_bad_files_are_told(file, text, match):
    with pytest.raises(UserError, match=match):
        given(config=file(text))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_yaml(tmp_path / "none.yaml")


def test_bad_flags_are_told():
    with pytest.raises(SystemExit):
        given("--dither", "perhaps")
    with pytest.raises(SystemExit):
        given("--bins", "many")
    with pytest.raises(SystemExit):
        given("--window", "boxcar")


def test_build():
    assert build(Options, {"bins": 5}, "here") == Options(bins=5)
