"""What reads each file of the world, and a second parser where there is one.

A target's `use` returns what a user would get. Its oracle is a second parser's result, or SAME: content has a checksum,
so that a change is refused, warned about, or without effect.
"""

import contextlib
import dataclasses
import hashlib
import io
import math
import re
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from asrdistill.cli import main
from asrdistill.config import build
from asrdistill.data import kaldi
from asrdistill.data.archive import FrameArchive
from asrdistill.data.audio import read_audio
from asrdistill.data.ctm import read_ctm, read_phn
from asrdistill.data.directory import DataDirectory
from asrdistill.data.text import read_texts
from asrdistill.decode.lattice_formats import read_slf
from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.options import DecodeOptions, tuned
from asrdistill.distill.cluster import read_set
from asrdistill.distill.store import SoftTargets
from asrdistill.encoders.whisper_encoder import WhisperEncoder
from asrdistill.errors import UserError
from asrdistill.export.kaldi import Nnet3
from asrdistill.hmm.formats.kaldi import read_symbols, read_transitions, senones_of
from asrdistill.hmm.formats.times import textgrid_transcription
from asrdistill.hmm.gmm import load_gmm
from asrdistill.hmm.senones import Senones
from asrdistill.lang.dictionary import read_dictionary
from asrdistill.lang.g2p import G2P
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa
from asrdistill.lang.text import read_sentences
from asrdistill.models.io import load_model
from asrdistill.pseudo_label.run import read_pseudo_labels
from asrdistill.reader import read_yaml
from asrdistill.results.paper import read_paper
from asrdistill.results.plan import read_plan
from asrdistill.runtime.recogniser import Recogniser
from asrdistill.scoring.calibration import read_calibration
from asrdistill.scoring.transcripts import read_map
from asrdistill.scoring.wer import read_transcripts
from asrdistill.sweep.spec import read_sweep
from asrdistill.training.options import TrainOptions

SAME = "same"


class Target(NamedTuple):
    files: str  # a pattern in the world
    use: Callable[[Path, Path], Any]  # (world, file)
    oracle: Callable[[Path, Path], Any] | str | None = None


def cli(*words: object) -> str:
    """What a command prints; raises UserError with its message if it refuses."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    if status:
        lines = err.getvalue().strip().splitlines()
        assert status == 2, err.getvalue()
        assert lines[-1].startswith("asrdistill"), err.getvalue()
        raise UserError(lines[-1])
    return out.getvalue()


def command(line: str) -> Callable[[Path, Path], Any]:
    """A command that makes the folder OUT in the world; the result is its files but for the marker."""

    def use(world: Path, file: Path) -> Any:
        out = world / "OUT"
        for path in (out, world / ".OUT.partial"):
            shutil.rmtree(path, ignore_errors=True)
        words = [str(world / word) if word[0] == "@" or word == "OUT" else word for word in line.split()]
        printed = cli(*(word.replace("@", "") for word in words))
        files = sorted(path for path in out.rglob("*") if path.is_file() and path.name not in (".done", "README.md"))
        return [(str(path.relative_to(out)), hashlib.md5(path.read_bytes()).hexdigest()) for path in files] or printed

    return use


def info(world: Path, file: Path) -> Any:
    return cli("info", file.parent)


def utterances(world: Path, file: Path) -> Any:
    data = DataDirectory.read(file.parent)
    if file.name == "text":
        list(read_texts(file.parent))
    rows = [(u.id, Path(u.audio).name, u.speaker, u.text, u.recording, u.start, u.end, u.duration) for u in data]
    return [[u.samples(8000)[:5] for u in data][:0], rows]


def table(path: Path) -> dict[str, str]:
    """A second reader of a Kaldi table."""
    lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    assert lines[-1] == "" or not lines[-1].isspace()
    rows = [re.match(r"(\S+)\s*(.*?)\s*$", line) for line in lines if line]
    assert len({row[1] for row in rows}) == len(rows)
    return {row[1]: row[2] for row in rows}


def plain_utterances(world: Path, file: Path) -> Any:
    folder = file.parent
    audio = table(folder / "wav.scp")
    parts = table(folder / "segments") if (folder / "segments").exists() else {}
    optional = {n: table(folder / n) if (folder / n).exists() else {} for n in ("text", "utt2spk", "utt2dur")}
    rows = []
    for name in sorted(parts or audio):
        recording, start, end = parts[name].split() if parts else (name, "0", None)
        length = optional["utt2dur"].get(name)
        times = float(start), end and float(end), length and float(length)
        words = (optional["utt2spk"].get(name, name), optional["text"].get(name))
        rows.append((name, Path(audio[recording]).name, *words, recording, *times))
    return [[], rows]


def lang(world: Path, file: Path) -> Any:
    return dataclasses.astuple(Lang.read(file.parent))


def plain_lang(world: Path, file: Path) -> Any:
    texts = {
        p.stem: p.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")[:-1]
        for p in file.parent.glob("*.txt")
    }
    phones, words = ([line.rsplit(" ", 1)[0] for line in texts[name]][1:] for name in ("phones", "words"))
    lexicon: dict[str, Any] = {}
    for word, share, sounds in (line.split("\t") for line in texts["lexicon"]):
        lexicon.setdefault(word, []).append((float(share), tuple(sounds.split())))
    silence, share = texts["silence"][0].split()
    return phones, words, silence, lexicon, float(share), {}


def arpa(world: Path, file: Path) -> Any:
    model = read_arpa(file)
    compile_grammar(model)
    return [
        {
            words: (round(p / math.log(10), 6), round(b / math.log(10), 6))
            for words, p, b in zip(level, level.logprob.tolist(), level.backoff.tolist(), strict=True)
        }
        for level in model.levels
    ]


def plain_arpa(world: Path, file: Path) -> Any:
    levels: list[dict[Any, Any]] = []
    for line in file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n"):
        fields = line.split()
        if re.fullmatch(r"\\\d+-grams:", line.strip()):
            levels.append({})
        elif line.startswith("\\end"):
            break
        elif levels and fields:
            n = len(levels)
            words = tuple(fields[1 : 1 + n])
            assert len(words) == n
            assert words not in levels[-1]
            backoff = float(fields[1 + n]) if len(fields) > 1 + n else 0.0
            levels[-1][words] = round(float(fields[0]), 6), round(backoff, 6)
    return levels


def transcripts(world: Path, file: Path) -> Any:
    return read_transcripts(file)


def plain_text(world: Path, file: Path) -> Any:
    rows = [line.split() for line in file.read_bytes().decode("utf-8-sig").split("\n") if line.strip()]
    if file.suffix == ".trn":
        found = [re.fullmatch(r"(.*)\(([^()]*)\)", " ".join(row)) for row in rows]
        return {row[2].strip(): row[1].split() for row in found}
    return {row[0]: row[1:] for row in rows}


def plain_ctm(world: Path, file: Path) -> Any:
    found: dict[str, list[tuple[float, str]]] = {}
    rows = [line.split() for line in file.read_bytes().decode("utf-8-sig").split("\n")]
    rows = [row for row in rows if row and not row[0].startswith(";;")]
    channels = {row[0]: {other[1] for other in rows if other[0] == row[0]} for row in rows}
    for row in rows:
        name = "-".join(row[:2]) if len(channels[row[0]]) > 1 else row[0]
        if file.suffix == ".stm":
            labelled = len(row) > 5 and re.fullmatch("<.*>", row[5])
            found.setdefault(name, []).append((float(row[3]), " ".join(row[6 if labelled else 5 :])))
        else:
            found.setdefault(name, []).append((float(row[2]), row[4]))
    return {n: [w for _, label in sorted(rows, key=lambda r: r[0]) for w in label.split()] for n, rows in found.items()}


def ctm(world: Path, file: Path) -> Any:
    return [(name, [tuple(i) for i in intervals]) for name, intervals in read_ctm(file)]


def textgrid(world: Path, file: Path) -> Any:
    found = textgrid_transcription(file, file.stem)
    return found.end, [tuple(i) for i in found.phones]


def plain_textgrid(world: Path, file: Path) -> Any:
    text = file.read_bytes().decode("utf-8-sig")
    block = re.search(r'name = "phones"(.*?)(?=item \[|$)', text, re.S)[1]
    number = r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
    rows = re.findall(rf'xmin = {number}\s+xmax = {number}\s+text = "((?:[^"]|"")*)"', block)
    assert len(rows) == int(re.search(r"intervals: size = (\d+)", block)[1])
    begin, end = (float(re.search(rf"^{name} = {number}", text, re.M)[1]) for name in ("xmin", "xmax"))
    return end - begin, [(float(a) - begin, float(b) - begin, label.replace('""', '"').strip()) for a, b, label in rows]


def phn(world: Path, file: Path) -> Any:
    return [tuple(i) for i in read_phn(file, 8000)]


def plain_phn(world: Path, file: Path) -> Any:
    rows = [line.split() for line in file.read_bytes().decode("utf-8-sig").split("\n") if line.strip()]
    return [(int(a) / 8000, int(b) / 8000, label) for a, b, label in rows]


def archive(world: Path, file: Path) -> Any:
    found = FrameArchive(file.parent)
    for name in found:
        found.rows(name)
    names = found.utterances
    return [[found.read(names, part), *(found.part(name, part) for name in names)] for part in found.parts]


def soft_targets(world: Path, file: Path) -> Any:
    import torch

    store = FrameArchive(file.parent, "soft-targets")
    targets = SoftTargets(store, 2.0)
    senones = Senones.read(world / "model").count
    return targets.loss(torch.zeros(store.total_rows, senones), targets.gather(store.utterances)).item()


def scores(world: Path, file: Path) -> Any:
    frames = FrameArchive(world / "fbank")["u3"]
    return load_model(file.parent).log_posteriors(np.asarray(frames, np.float32))


def gmm(world: Path, file: Path) -> Any:
    return load_gmm(file.parent).loglikes(np.asarray(FrameArchive(world / "fbank")["u3"], np.float32))


def recognise(world: Path, file: Path) -> Any:
    folder = next(path for path in file.parents if path.parent == world)
    return Recogniser(folder).transcribe(world / "u3.wav").words


def audio(world: Path, file: Path) -> Any:
    return read_audio(str(file), 8000)


def plain_wav(world: Path, file: Path) -> Any:
    """Samples to the end that the data chunk says, or to the file's where a killed recorder left 0 there."""
    content = bytearray(file.read_bytes())
    content[4:8] = (len(content) - 8).to_bytes(4, "little")  # which ends the chunks for `wave`
    if content[36:44] == b"data" + bytes(4):
        content[40:44] = (len(content) - 44).to_bytes(4, "little")
    with wave.open(io.BytesIO(content)) as sound:
        assert sound.getparams()[:3] == (1, 2, 8000)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float32) / 32768


def plain_flac(world: Path, file: Path) -> Any:
    """Samples whose MD5 is that of the header."""
    content = file.read_bytes()
    samples, rate = soundfile.read(file, dtype="int16")
    assert rate == 8000
    assert hashlib.md5(samples.tobytes()).digest() == content[26:42]
    return samples.astype(np.float32) / 32768


def ark(world: Path, file: Path) -> Any:
    return [(name, np.asarray(array)) for name, array in kaldi.read(file)]


def plain_scp(world: Path, file: Path) -> Any:
    found = []
    for line in file.read_bytes().decode("utf-8-sig").splitlines():
        name, where = line.split(maxsplit=1)
        path, _, offset = where.rpartition(":")
        content = Path(path).read_bytes()[int(offset) :]
        assert content[:5] == b"\0BFM "
        rows, columns = (int.from_bytes(content[at : at + 4], "little") for at in (6, 11))
        found.append((name, np.frombuffer(content, "<f4", rows * columns, 15).reshape(rows, columns)))
    return found


def lattice(world: Path, file: Path) -> Any:
    found = read_slf(file, 0.01)
    return (
        [getattr(found, f.name) for f in dataclasses.fields(found)] if dataclasses.is_dataclass(found) else list(found)
    )


def g2p(world: Path, file: Path) -> Any:
    return G2P.read(file.parent).pronounce("lowhigh")


def resumed(world: Path, file: Path) -> Any:
    import torch

    from asrdistill.models.io import load_network
    from asrdistill.training.loop import _State

    module = load_network(world / "net").module
    optimiser = torch.optim.AdamW(module.parameters(), 0.001, fused=True)
    state = _State(module, optimiser, torch.device("cpu"), file)
    state.load()
    return [state.epoch, state.updates, [p.detach().numpy() for p in module.parameters()]]


def whisper(world: Path, file: Path) -> Any:
    return WhisperEncoder.load(file.parent).encode(np.zeros(8000, np.float32))[:3]


def plain_yaml(world: Path, file: Path) -> Any:
    import yaml

    values = yaml.safe_load(file.read_bytes().decode("utf-8-sig")) or {}
    default = dataclasses.asdict(TrainOptions())
    kinds = {name: type(value) for name, value in default.items()}
    return default | {n: float(v) if kinds[n] is float else v for n, v in values.items()}


def kaldi_model(world: Path, file: Path) -> Any:
    network = Nnet3(world / "recogniser_kaldi/final.mdl")
    return network.log_posteriors(np.asarray(FrameArchive(world / "fbank")["u3"], np.float32))


IMPORT = command("convert alignment --from kaldi @kaldi_ali/ali.ark @fbank @lang OUT --model @kaldi_ali")


def transitions(world: Path, file: Path) -> Any:
    folder = world / "recogniser_kaldi"
    model, symbols = read_transitions(folder / "final.mdl"), read_symbols(folder / "phones.txt")
    return senones_of(model, symbols, "SIL", folder / "tree").hash


TARGETS = [
    *(
        Target(f"{folder}/{name}", utterances, plain_utterances)
        for folder in ("data", "cut")
        for name in ("wav.scp", "segments", "text", "utt2spk", "spk2utt", "utt2dur")
    ),
    *(Target(f"table.{end}", command(f"data prepare table @table.{end} OUT --jobs 1")) for end in ("csv", "jsonl")),
    Target("cuts.jsonl", command("data prepare lhotse @cuts.jsonl OUT --jobs 1")),
    Target("lang/*.txt", lang, plain_lang),
    Target("dictionary.txt", lambda world, file: [dict(read := read_dictionary(file)), read.probabilities]),
    Target("dictionary.txt", command("lang g2p @dictionary.txt OUT --order 2")),
    Target("lm/lm.arpa", arpa, plain_arpa),
    Target("lm/lm.arpa", command("convert lm @lm/lm.arpa OUT")),
    Target("lm/lm.arpa", lambda world, file: cli("info", file)),
    Target("lm.txt", command("lang lm @lang OUT --text @lm.txt --order 2")),
    Target("lm.txt", lambda world, file: read_sentences(file)),
    Target("hyp.trn", transcripts, plain_text),
    Target("data/text", transcripts, plain_text),
    Target("hyp.ctm", transcripts, plain_ctm),
    Target("ref.stm", transcripts, plain_ctm),
    Target("hyp.*", lambda world, file: cli("score", world / "data/text", file)),
    Target("ref.stm", lambda world, file: cli("score", file, world / "hyp.ctm")),
    Target("phones.map", lambda world, file: read_map(file)),
    Target(
        "labels/pseudo_labels.tsv",
        lambda world, file: [dataclasses.astuple(x) for x in read_pseudo_labels(file.parent).values()],
    ),
    Target("ali/*.ctm", ctm),
    Target("ali/*.ctm", command("convert alignment --from ctm @ali/phones.ctm @fbank @lang OUT")),
    Target("ali/*.ctm", command("lang pron-probs @lang @ali OUT")),
    Target("textgrids/u1.TextGrid", textgrid, plain_textgrid),
    Target(
        "textgrids/u1.TextGrid",
        command("convert alignment --from textgrid @textgrids @fbank @lang OUT --max-left-out 100"),
    ),
    Target("phns/u1.*", phn, plain_phn),
    Target("phns/u1.*", command("convert alignment --from phn @phns @fbank @lang OUT --rate 8000 --max-left-out 100")),
    Target("kaldi/feats.ark", ark),
    Target("kaldi/feats.scp", ark, plain_scp),
    Target("kaldi/feats.*", command("convert feats @kaldi/feats.scp OUT --name x")),
    Target("kaldi_ali/*", IMPORT),
    Target("recogniser_kaldi/tree", transitions),
    Target("recogniser_kaldi/phones.txt", transitions),
    Target("recogniser_kaldi/final.mdl", transitions),
    Target("recogniser_kaldi/final.mdl", kaldi_model),
    *(Target(f"{folder}/*", archive, SAME) for folder in ("fbank", "fbank_some", "targets")),
    *(
        Target(f"{folder}/meta.json", info)
        for folder in ("fbank", "ali", "targets", "model", "mono", "net", "ensemble", "recogniser")
    ),
    *(Target(f"{folder}/.done", info) for folder in ("fbank", "net", "mono", "decoded")),
    *(Target(f"{folder}/*.json", info) for folder in ("sets", "tuned", "decoded", "frames")),
    Target("fbank/*", command("feats cepstra @fbank @data OUT --jobs 1")),
    Target("ali/[mis]*", command("nnet evaluate @model @fbank @ali OUT --jobs 1")),
    Target("targets/*", soft_targets),
    Target("model/*", scores),
    Target("net/*.*", scores),
    Target("ensemble/*.*", scores),
    Target("model/*", command("decode run @model @fbank @lang @lm OUT --tuned @tuned --jobs 1 --graph @graph")),
    Target("mono/*.*", gmm),
    Target("mono/*", command("ali make @mono @fbank @data @lang OUT --jobs 1")),
    Target("sets/sets.json", lambda world, file: read_set(file.parent, 1, Senones.read(world / "model"))),
    Target("tuned/tuned.json", lambda world, file: dataclasses.astuple(tuned(DecodeOptions(), file.parent))),
    Target("calibration/calibration.json", lambda world, file: tuple(read_calibration(file.parent))),
    Target("decoded/*.*", command("decode rescore @decoded OUT --jobs 1")),
    Target("decoded/lattices/u1.slf.gz", lattice),
    Target("decoded/lattices/u1.slf.gz", command("decode rescore @decoded OUT --jobs 1 --risk")),
    Target("g2p/*.*", g2p),
    *(
        Target(f"{folder}/{pattern}", recognise, SAME)
        for folder in ("recogniser", "recogniser_onnx")
        for pattern in ("*.*", "lang/*", "graph/*")
    ),
    Target("recogniser/meta.json", recognise, SAME),
    Target(
        "train.yaml",
        lambda world, file: dataclasses.asdict(build(TrainOptions, read_yaml(file), str(file))),
        plain_yaml,
    ),
    Target("sweep.yaml", lambda world, file: [str(cell) for cell in read_sweep(file).cells()]),
    Target("plan.yaml", lambda world, file: str(read_plan(file))),
    Target("paper.yaml", lambda world, file: str(read_paper(file))),
    Target("u1.wav", audio, plain_wav),
    Target("u1.flac", audio, plain_flac),
    Target("u1.ogg", audio),
    Target("u1.mp3", audio),
    Target("u1.*", lambda world, file: cli("transcribe", world / "recogniser", file)),
    Target("whisper/model.bin", whisper),
    Target("checkpoint.safetensors", resumed),
]


def plain(value: Any) -> Any:
    """A value that can be compared with another."""
    if isinstance(value, np.ndarray):
        return str(value.dtype.kind), value.shape, value.tobytes() if value.dtype.kind != "O" else value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return repr(round(value, 9) + 0.0)
    return value if isinstance(value, int | str | bool | None) else repr(value)


def found_in(world: Path) -> Iterator[tuple[Target, Path]]:
    for target in TARGETS:
        for path in sorted(world.glob(target.files)):
            if path.is_file():
                yield target, path
