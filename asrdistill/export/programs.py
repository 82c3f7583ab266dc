"""Folders for other programs (PROGRAMS), made of recogniser folders."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asrdistill.errors import UserError
from asrdistill.export.options import PROGRAMS
from asrdistill.export.vosk import check_vosk, write_vosk
from asrdistill.export.web import check_page, write_page
from asrdistill.files import write_text
from asrdistill.models.folder import read_meta
from asrdistill.reader import read_text
from asrdistill.runtime.recogniser import Recogniser

PAGE = """Serve this folder and open it in a browser: `python3 -m http.server -d {name}`, http://localhost:8000. Any web
server will do. Browsers give the microphone to https pages and to localhost. No sound leaves the browser.
`recogniser.js` recognises in other pages, too."""
VOSK = """```python
import vosk

recogniser = vosk.KaldiRecognizer(vosk.Model("{name}"), {rate})
recogniser.AcceptWaveform(samples)  # 16-bit mono PCM
print(recogniser.FinalResult())
```"""
WAYS: dict[str, tuple[Callable[[dict[str, Any], Path], None], Callable[[Recogniser, Path, str], None], str]] = {
    **dict.fromkeys(("web", "web-int8"), (check_page, write_page, PAGE)),
    "vosk": (check_vosk, write_vosk, VOSK),
}


def export_program(form: str, model: Path, lang: Path, lm: Path, options: Any, out: Path, name: str, *how: Any) -> None:
    """As :func:`asrdistill.export.folder.export`, but a folder of PROGRAMS instead of a recogniser folder.

    Raises UserError also for what the program cannot run.
    """
    from asrdistill.export.folder import export  # which needs torch

    WAYS[form][0](read_meta(model), model)
    with tempfile.TemporaryDirectory(dir=out, prefix=".") as scratch:
        export(PROGRAMS[form][0], model, lang, lm, options, folder := Path(scratch), name, *how)
        convert(form, folder, out, name)


def convert(form: str, folder: Path, out: Path, name: str) -> None:
    """A folder of PROGRAMS from a finished recogniser folder; raises UserError if that is of another form."""
    meta, (wanted, described) = read_meta(folder), PROGRAMS[form]
    check, write, use = WAYS[form]
    if (found := meta.get("export", {}).get("form")) != wanted:
        others = [other for other, (needed, _) in PROGRAMS.items() if needed == found]
        raise UserError(
            f"{folder} is not of the form {wanted}; give one that is{''.join(f', or --to {o}' for o in others)}"
        )
    check(meta, folder)
    recogniser = Recogniser(folder)
    write(recogniser, out, name)
    text = read_text(folder / "README.md").replace(f"export --to {found}`", f"export --to {form}`")
    text = re.sub(r"(?m)^\* form: .*$", f"* form: {described}", text)
    text = re.sub(
        r"(?ms)^## Use\n.*?(?=^## )", f"## Use\n\n{use.format(name=name, rate=recogniser.front.rate)}\n\n", text
    )
    write_text(out / "README.md", text)
