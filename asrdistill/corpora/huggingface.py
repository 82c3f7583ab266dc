"""Datasets of Hugging Face's library ``datasets``: a folder of ``save_to_disk``, of audio or Parquet files, or a name.

Rows are read one by one. Audio within a dataset is written to files as it is; audio beside it stays where it is.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from asrdistill.corpora.rows import USUAL, Columns, Rows, at, places
from asrdistill.data.audio import open_sound
from asrdistill.data.segment import name_of
from asrdistill.errors import UserError
from asrdistill.reader import one_line

AUDIO = "audio"  # folder of the audio that was within the dataset


def folders_of(source: Path, parts: Sequence[str] = ()) -> list[Path]:
    """The folder, if the dataset is one."""
    return [source] if source.exists() else []


def prepare_huggingface(
    source: Path,
    out: Path,
    jobs: int = 1,
    parts: Sequence[str] = (),
    root: Path | None = None,
    columns: Columns = USUAL,
) -> None:
    """Make a data directory of each split; a single one is `out` itself.

    Raises UserError without the library, for a dataset that it cannot read, and, naming split and row, for a column
    that is no audio or no text, and for audio that is missing, outside of `root` (default: `source`) or unreadable.
    """
    splits = _load(source)
    for name, place in places(out, splits, parts, source).items():
        rows, where = Rows(root or source, columns), f"{source}, {name}"
        for number, row in enumerate(_rows(where, splits[name], columns)):
            with at(f"{where}, row {number}"):
                id = row["id"] if isinstance(row["id"], str) else f"{name}-{number:08d}"
                rows.add(id, _audio(row["audio"], rows, place / AUDIO / name_of(Path(id))), row["text"], row["speaker"])
        rows.write(place, jobs, where)


def _load(source: Path) -> dict[str, Any]:
    """Split -> its rows."""
    try:
        import datasets
        from pyarrow.dataset import ParquetFragmentScanOptions
    except ModuleNotFoundError:
        raise UserError("datasets of Hugging Face need their library; install it: pip install datasets") from None
    datasets.disable_progress_bars()
    saved = any((source / name).is_file() for name in ("dataset_dict.json", "state.json"))
    try:
        options = {}
        if any(source.rglob("*.parquet")):  # which are otherwise read ahead as a whole
            options["fragment_scan_options"] = ParquetFragmentScanOptions(pre_buffer=False)
        load = datasets.load_from_disk if saved else partial(datasets.load_dataset, streaming=True, **options)
        found = load(str(source))
    except Exception as error:  # of the library, pyarrow, fsspec, or the network
        raise UserError(f"{source} is no dataset that datasets can read ({one_line(error)}); check it") from None
    return dict(found) if isinstance(found, dict) else {str(found.split or "all"): found}


def _rows(where: str, split: Any, columns: Columns) -> Iterator[dict[str, Any]]:
    """Audio as bytes or path, text, speaker and id of each row; the last two may be None."""
    from datasets import Audio, Value

    try:
        features = split.features or split._resolve_features().features
        chosen = columns.choose(list(features), where)
        for kind, form in (("audio", Audio), ("text", Value)):
            if not isinstance(there := features[chosen[kind]], form):
                found = getattr(there, "dtype", type(there).__name__)
                raise UserError(f"{where}: column '{chosen[kind]}' is no {kind} but {found}; give --{kind}-column")
        kept = {**chosen, **({"id": "id"} if "id" in features else {})}
        split = split.select_columns(list(set(kept.values())))
        for row in _undecoded(split, chosen["audio"]):
            yield {"speaker": None, "id": None, **{kind: row[column] for kind, column in kept.items()}}
    except UserError:
        raise
    except Exception as error:  # as in _load
        raise UserError(f"{where} cannot be read ({one_line(error)}); make it again") from None


def _undecoded(split: Any, audio: str) -> Any:
    from datasets import Audio, Dataset, Value

    if not isinstance(split, Dataset):
        with suppress(TypeError):  # a folder of audio has paths, which the library's encoder is not needed for
            paths = split.cast_column(audio, Value("string"))
            next(iter(paths), None)
            return paths
    return split.cast_column(audio, Audio(decode=False))


def _audio(value: Any, rows: Rows, stem: Path) -> str:
    """Path of a row's audio; what the dataset holds itself is written beside the tables."""
    content, path = (value["bytes"], value["path"]) if isinstance(value, dict) else (None, value)
    if content is None:
        return rows.locate(path or "")[0]
    with open_sound(io.BytesIO(content), "its audio") as sound:
        file = stem.with_name(f"{stem.name}.{sound.format.lower()}")
    if file.exists():
        raise UserError(f"the id {stem.name} is used twice; give each row its own")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return str(file)
