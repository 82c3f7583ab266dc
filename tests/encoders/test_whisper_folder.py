import sys

import pytest

from asrdistill.encoders.whisper import BUNDLED, model_folder
from asrdistill.errors import UserError


def test_a_folder_with_a_model_is_itself(tmp_path):
    (tmp_path / "model.bin").touch()
    assert model_folder(str(tmp_path)) == tmp_path


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no model\.bin"):
        model_folder(str(tmp_path))
    with pytest.raises(UserError, match=r"no model\.bin"):
        model_folder(str(tmp_path / "not_there"))


def test_what_a_package_ships_is_found_without_running_it(tmp_path, monkeypatch):
    package = tmp_path / "weights_of_nobody"
    (package / "inside").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inside" / "model.bin").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(BUNDLED, "tiny.en", (package.name, "inside"))
    assert model_folder("tiny.en") == package / "inside"


def test_without_the_optional_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "faster_whisper.utils", None)
    with pytest.raises(UserError, match=r"pip install 'asrdistill\[whisper\]'"):
        model_folder("base.en")


def test_a_name_that_is_none_is_answered_with_those_that_are():
    pytest.importorskip("faster_whisper")
    with pytest.raises(UserError, match=r"no Whisper model 'tinny'.*tiny\.en"):
        model_folder("tinny")


def test_what_the_hub_does_not_send_is_one_sentence(monkeypatch):
    utils = pytest.importorskip("faster_whisper.utils")

    def unreachable(name, **options):
        raise OSError("no route\nto the host")

    monkeypatch.setattr(utils, "download_model", unreachable)
    with pytest.raises(UserError, match=r"'base\.en' is not on this machine and could not be fetched \(no route\)"):
        model_folder("base.en")
