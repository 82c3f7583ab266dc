"""Exports a network to a format and opens it again."""

from asrdistill.export.forms import open_form, write_form
from asrdistill.export.options import kind_of
from asrdistill.files import sha256, write_json
from asrdistill.models.io import load_model
from asrdistill.reader import read_json


def exported(form: str, folder, out, calibration=()):
    """The export of a model folder, opened."""
    out.mkdir()
    names = write_form(form, folder, load_model(folder), calibration, out)
    meta = read_json(folder / "meta.json")
    export = {"format": 1, "sha256": {name: sha256(out / name) for name in names}}
    write_json(out / "meta.json", {**meta, "kind": kind_of(form), "export": export})
    (out / "senones.json").write_bytes((folder / "senones.json").read_bytes())
    return open_form(form, out)
