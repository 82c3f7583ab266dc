"""Compare recognisers, Whisper among them, by words, size and speed on one core.

Each recogniser folder goes from audio files to words as `asrdistill transcribe` does, one utterance after the other.
Whisper runs in 8-bit integers with a beam of 5: as faster-whisper does, in windows of 30 s, and as `asrdistill
pseudo-label run` does, in batches without padding. Times are processor time with the models loaded; a real-time
factor is time by audio. Whisper writes any word, the others those of their lexicon.

Example:
  python tools/bench/hand.py recipes/amazon_queen/data/default/corpus --sets dev test test_unseen --every 4 \\
    --recognisers exp/whisper/hand/* --picture hand.png
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import arguments, finish, timed
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from asrdistill import parallel
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.encoders.base import STEP
from asrdistill.encoders.model_bin import read_variables
from asrdistill.encoders.whisper import model_folder
from asrdistill.files import read_json
from asrdistill.lang.normalize import normalize_text
from asrdistill.pseudo_label.options import PseudoLabelOptions
from asrdistill.pseudo_label.run import BATCH, WhisperTranscriber
from asrdistill.results.pictures import COLOURS, plain_axes, png
from asrdistill.results.tables import Table
from asrdistill.runtime.recogniser import Recogniser
from asrdistill.scoring.wer import score

Words = dict[str, list[str]]
Figures = dict[str, Any]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path, help="folder with the sets' data directories, with text")
    parser.add_argument("--sets", nargs="+", default=["dev"])
    parser.add_argument("--every", type=int, default=1, help="take every Nth utterance of a set (default: all)")
    parser.add_argument("--recognisers", type=Path, nargs="+", required=True)
    parser.add_argument("--whisper", default="tiny.en", help="a model's name or folder (default: %(default)s)")
    parser.add_argument("--picture", type=Path, help="PNG file to write")
    args = parser.parse_args()
    parallel.single_thread()
    utterances = [u for name in args.sets for u in DataDirectory.read(args.data / name).utterances[:: args.every]]
    figures = _whisper(args.whisper, utterances)
    print(figures, flush=True)
    for folder in args.recognisers:
        figures[folder.name] = _recogniser(folder, utterances)
        print(folder.name, figures[folder.name], flush=True)
    Console(width=140, highlight=False).print(_table(figures).rich())
    if args.picture:
        args.picture.write_bytes(_draw(figures))
    finish({"utterances": len(utterances), "systems": figures})


def _whisper(name: str, utterances: Sequence[Utterance]) -> dict[str, Figures]:
    from faster_whisper import WhisperModel

    folder = model_folder(name)
    model, transcriber = (
        WhisperModel(str(folder), "cpu", compute_type="int8", cpu_threads=1),
        WhisperTranscriber(folder, PseudoLabelOptions(name)),
    )
    # The output's weights are the embeddings' once more.
    weights = read_variables(folder / "model.bin", "WhisperSpec", lambda name: name != "decoder/projection/weight")
    about = {
        "parameters": sum(value.size for value in weights.values()),
        "mb": (folder / "model.bin").stat().st_size / 1e6,
        "look_ahead_ms": None,
    }

    def plain(batch: list[Utterance]) -> Words:
        (utterance,) = batch
        segments, _ = model.transcribe(utterance.samples(16000), language="en")
        return {utterance.id: normalize_text(" ".join(segment.text for segment in segments), "en").split()}

    def batched(batch: list[Utterance]) -> Words:
        return {found.utterance: normalize_text(found.text, "en").split() for found in transcriber.transcribe(batch)}

    alike = sorted(utterances, key=lambda u: u.duration or 0.0)  # batches of about one length
    batches = [alike[begin : begin + BATCH] for begin in range(0, len(alike), BATCH)]
    return {
        f"Whisper {name}": about | _measure(plain, [[utterance] for utterance in utterances]),
        f"Whisper {name} (pseudo-label)": about | _measure(batched, batches),
    }


def _recogniser(folder: Path, utterances: Sequence[Utterance]) -> Figures:
    recogniser, meta = Recogniser(folder), read_json(folder / "meta.json")
    rate = recogniser.front.rate

    def recognise(batch: list[Utterance]) -> Words:
        found = {}
        for utterance in batch:
            stream = recogniser.stream()
            stream.accept(utterance.samples(rate))
            found[utterance.id] = stream.finish().words
        return found

    return {
        "parameters": meta["parameters"],
        "mb": sum((folder / name).stat().st_size for name in meta["export"]["sha256"]) / 1e6,
        "look_ahead_ms": _cached_lookahead(meta),
        **_measure(recognise, [[utterance] for utterance in utterances]),
    }


def _cached_lookahead(meta: Figures) -> float | None:
    """Look-ahead of the network in ms; None: it waits for the end of the utterance."""
    features, right = meta["features"], 1000 * meta["frame_shift"] * meta["options"]["right"]
    if features["type"] == "whisper":
        return 1000 * (STEP + features["ahead"]) + right if "ahead" in features else None
    return right


def _measure(recognise: Callable[[list[Utterance]], Words], batches: Sequence[list[Utterance]]) -> dict[str, float]:
    recognise(batches[0])  # compiles and loads
    found, seconds = timed(lambda: [recognise(batch) for batch in batches])
    words = {utterance: said for batch in found for utterance, said in batch.items()}
    truth = {u.id: (u.text or "").split() for batch in batches for u in batch}
    audio = sum(len(u.samples(16000)) / 16000 for batch in batches for u in batch)
    total = score(truth, words).total
    return {"wer": round(100 * total.errors / total.words, 2), "rtf": round(seconds / audio, 5)}


def _table(figures: dict[str, Figures]) -> Table:
    rows = []
    slowest = next(iter(figures.values()))["rtf"]
    for name, found in figures.items():
        ahead = "utterance" if found["look_ahead_ms"] is None else f"{found['look_ahead_ms']:.0f}"
        numbers = [f"{found['parameters']:,}", f"{found['mb']:.2f}", f"{found['wer']:.2f}", f"{found['rtf']:.4f}"]
        rows.append([name, *numbers, f"{slowest / found['rtf']:.1f}", ahead])
    return Table(["system", "parameters", "MB", "WER %", "RTF", "times Whisper", "look-ahead ms"], rows)


def _draw(figures: dict[str, Figures]) -> bytes:
    """Word error rate over size and over speed."""
    figure = Figure(figsize=(10, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, key, label in zip(
        panels, ("parameters", "rtf"), ("parameters", "real-time factor on one core"), strict=True
    ):
        for number, (name, found) in enumerate(figures.items()):
            colour = COLOURS[number > 1]
            axes.scatter(found[key], found["wer"], color=colour, s=26)
            axes.annotate(name, (found[key], found["wer"]), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        plain_axes(axes)
    panels[0].set_ylabel("word error rate, %")
    panels[0].set_ylim(bottom=0)
    return png(figure)


if __name__ == "__main__":
    main()
