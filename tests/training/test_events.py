"""TensorBoard's event file of a training, read with TensorBoard's own reader."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from asrdistill.reader import read_json
from asrdistill.training.events import NAME, write_events
from asrdistill.training.loop import _State
from tests.training.test_loop import OPTIONS, fit

HISTORY = [{"epoch": n, "loss": 3.0 / n, "held_out_accuracy": 10.5 * n} for n in (1, 2, 3)]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_points_are_those_of_the_record(tmp_path: Path) -> None:
    write_events(tmp_path, HISTORY, 1000)
    found = scalars(tmp_path)
    assert found["loss"] == [(1000, 3.0), (2000, 1.5), (3000, 1.0)]
    assert found["held_out_accuracy"] == [(1000, 10.5), (2000, 21.0), (3000, 31.5)]
    assert found.keys() == {"loss", "held_out_accuracy"}


def test_checksum_is_that_of_the_standard() -> None:
    """The CRC-32C of 123456789 is e3069283 (RFC 3720), masked as TensorFlow does."""
    from asrdistill.training.events import _checksum

    crc = 0xE3069283
    assert _checksum(b"123456789") == ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def test_resumed_training_has_each_point_once(corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = dataclasses.replace(OPTIONS, epochs=3)
    whole = fit(corpus, tmp_path / "whole", options)
    save = _State.save

    def killed(state: _State) -> None:
        save(state)
        if state.epoch == at:
            raise KeyboardInterrupt

    for at in (2, 3):
        monkeypatch.setattr(_State, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(corpus, tmp_path / str(at), options)
        monkeypatch.setattr(_State, "save", save)
        resumed = fit(corpus, tmp_path / str(at), options)
        assert (resumed / NAME).read_bytes() == (whole / NAME).read_bytes()
    meta = read_json(whole / "meta.json")
    points = [(round(meta["updates"] * r["epoch"] / 3), pytest.approx(r["loss"])) for r in meta["history"]]
    assert scalars(whole)["loss"] == points
