"""Every verb has a help text that argparse can print, with an example."""

import pkgutil

import pytest

from asrdistill import verbs
from asrdistill.cli import main


@pytest.mark.parametrize("verb", ["", *(info.name.replace("_", "-") for info in pkgutil.iter_modules(verbs.__path__))])
def test_help(verb: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"] if verb else ["--help"])
    assert stop.value.code == 0
    assert "Example" in capsys.readouterr().out or not verb
