import sys

import pytest

from asrdistill.encoders.whisper import BUNDLED, model_folder
from tests.refusals import refused


def test_folder_with_a_model_is_returned(tmp_path):
    (tmp_path / "model.bin").touch()
    assert model_folder(str(tmp_path)) == tmp_path


def test_a_folder_without_a_model_is_refused(tmp_path):
    with refused("model.bin"):
        model_folder(str(tmp_path))
    with refused(tmp_path / "not_there", "model.bin"):
        model_folder(str(tmp_path / "not_there"))


def test_model_shipped_in_a_package_is_found_without_import(tmp_path, monkeypatch):
    package = tmp_path / "weights_of_nobody"
    (package / "inside").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inside" / "model.bin").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(BUNDLED, "tiny.en", (package.name, "inside"))
    assert model_folder("tiny.en") == package / "inside"


def test_missing_package_is_refused_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "faster_whisper.utils", None)
    with refused("'base.en'", "'asrdistill[whisper]'"):
        model_folder("base.en")


def test_unknown_name_is_refused_with_the_known_ones():
    pytest.importorskip("faster_whisper")
    with refused("'tinny'", "tiny.en"):
        model_folder("tinny")


def test_unreachable_hub_is_refused(monkeypatch):
    utils = pytest.importorskip("faster_whisper.utils")

    def unreachable(name, **options):
        raise OSError("no route\nto the host")

    monkeypatch.setattr(utils, "download_model", unreachable)
    with refused("'base.en'", "no route"):
        model_folder("base.en")
