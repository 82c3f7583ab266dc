"""Utterances of report.html: texts of all, sound and senones of some, the worst first."""

import io
import itertools
from base64 import b64encode
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from scipy.special import log_softmax

from asrdistill import stage
from asrdistill.data.archive import FrameArchive
from asrdistill.data.ctm import Interval, read_ctm
from asrdistill.data.directory import DataDirectory
from asrdistill.decode.acoustic import open_network
from asrdistill.errors import UserError, log
from asrdistill.hmm.senones import Senones
from asrdistill.models.folder import read_meta
from asrdistill.results.collect import Folders, corpus_of
from asrdistill.results.plan import Plan
from asrdistill.scoring.transcripts import fold, read_map
from asrdistill.scoring.wer import Transcripts, read_transcripts, score

LISTED = 2000  # utterances, the worst of all
WORST, OTHERS = 80, 20  # utterances with sound: the worst, and some of the others
SOUND = 9_000_000  # characters of all sounds together
RATE = 16_000  # Hz at most
TOP = 3  # senones of a frame


def explore(plan: Plan, folders: Folders, models: dict[str, list[Path]]) -> dict[str, Any]:
    """The utterances, worst first, of each system's first model; `sounds` are those that can be heard."""
    if not folders.data:
        return {"utterances": [], "decoded": [], "inventories": {}}
    decoded = {
        name: folders.exp / system.decoded / models[name][0].relative_to(folders.exp)
        for name, system in plan.systems.items()
        if models[name] and any(_hypotheses(folders, plan, name, models, part) for part in plan.sets)
    }
    main = "student" if "student" in decoded else next(reversed(decoded), "")
    utterances: list[dict[str, Any]] = []
    for part in plan.sets if decoded else []:
        texts = _transcripts(corpus_of(folders, part) / "text", plan)
        found = {name: _transcripts(folder / part / "hyp.txt", plan) for name, folder in decoded.items()}
        errors = score(texts, found[main]).errors if found[main] else [0] * len(texts)
        for (name, words), wrong in zip(sorted(texts.items()), errors, strict=True):
            heard = [" ".join(said[name]) if name in said else None for said in found.values()]
            utterances.append({"id": name, "set": part, "ref": " ".join(words), "hyp": heard, "wrong": int(wrong)})
    utterances.sort(key=lambda each: -each["wrong"])
    del utterances[LISTED:]
    chosen = utterances[:WORST] + utterances[WORST :: max(1, (len(utterances) - WORST) // OTHERS)]
    inventories: dict[str, list[str]] = {}
    sounding = _Sounding(folders, models, decoded, inventories)
    room = SOUND
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the utterances are short
    for each in chosen:
        sound = sounding.sound(each["set"], each["id"])
        if sound and len(sound) < room:
            room -= len(sound)
            each |= {"sound": sound, **sounding.tracks(each["set"], each["id"])}
    torch.set_num_threads(threads)
    known = {"decoded": list(decoded), "main": main, "inventories": inventories, "rate_hz": sounding.rate}
    return {"utterances": utterances, **known}


def _hypotheses(folders: Folders, plan: Plan, name: str, models: dict[str, list[Path]], part: str) -> bool:
    folder = folders.exp / plan.systems[name].decoded / models[name][0].relative_to(folders.exp)
    return (folder / part / "hyp.txt").is_file()


def _transcripts(path: Path, plan: Plan) -> Transcripts:
    if not path.is_file():
        return {}
    texts = read_transcripts(path)
    return fold(texts, read_map(Path(plan.map)), str(path)) if plan.map else texts


class _Sounding:
    """Sound, times of words and senones of utterances, as far as the folders that they are in are still there."""

    def __init__(
        self,
        folders: Folders,
        models: dict[str, list[Path]],
        decoded: dict[str, Path],
        inventories: dict[str, list[str]],
    ):
        self.folders, self.decoded, self.inventories = folders, decoded, inventories
        self.models = {name: found[0] for name, found in models.items() if found}
        networks = [name for name in decoded if read_meta(self.models[name])["kind"] != "gmm"]
        roles = [name for name in ("ensemble", "student") if name in networks]
        self.shown = roles if len(roles) == 2 else networks[-2:]  # whose senones are shown
        features = [read_meta(self.models[name]).get("features", {}) for name in self.shown]
        self.rate = min([RATE, *(settings["rate"] for settings in features if settings.get("rate"))])
        self._data, self._words = cache(partial(_data, folders)), cache(_words)
        self._archive, self._network = cache(FrameArchive), cache(open_network)

    def sound(self, part: str, name: str) -> str:
        """FLAC, in base 64; empty if there is none."""
        data = self._data(part)
        if data is None or name not in data:
            return ""
        file = io.BytesIO()
        soundfile.write(file, data[name].samples(self.rate), self.rate, "PCM_16", format="FLAC", compression_level=1.0)
        return b64encode(file.getvalue()).decode()

    def tracks(self, part: str, name: str) -> dict[str, Any]:
        """Words as they were said and recognised, aligned phones and senones, the best senones of networks."""
        heard = {system: self._words(folder / part).get(name) for system, folder in self.decoded.items()}
        found: dict[str, Any] = {"times": {system: times for system, times in heard.items() if times}}
        alignment = next(filter(None, (self._input("frames", s, part, 2) for s in reversed(self.shown))), None)
        labels = self._archive(alignment) if alignment else None
        if alignment and labels is not None and name in labels:
            senones = Senones.read(alignment)
            found |= {"said": self._words(_with_words(alignment)).get(name, []), "inventory": self._label(senones)}
            found["aligned"] = _runs(np.asarray(labels[name]), labels.meta["frame_shift"])
        found["best"] = {}
        for system in self.shown:
            path = self._input(self.decoded[system].relative_to(self.folders.exp).parts[0], system, part, 1)
            features = self._archive(path) if path else None
            if features is not None and name in features:
                model = self._network(self.models[system])
                best = _best(model.log_posteriors(features[name]))
                shift = features.meta["frame_shift"] * model.senones.subsampling
                found["best"][system] = {"inventory": self._label(model.senones), "shift": shift, "frames": best}
        return found

    def _input(self, kind: str, system: str, part: str, place: int) -> Path | None:
        """What EXP/KIND/MODEL/SET was made from, if it is still there."""
        folder = self.folders.exp / kind / self.models[system].relative_to(self.folders.exp) / part
        inputs = stage.marker(folder).get("inputs", [])[place:]
        return Path(inputs[0]) if inputs and (Path(inputs[0]) / "meta.json").is_file() else None

    def _label(self, senones: Senones) -> str:
        """The key of an inventory, whose names are kept."""
        phones = list(senones.states)
        if senones.hash not in self.inventories:
            places = zip(senones.phone, senones.state, strict=True)
            names = [f"{phones[phone]}.{state + 1} #{number}" for number, (phone, state) in enumerate(places)]
            self.inventories[senones.hash] = names
        return senones.hash


def _data(folders: Folders, part: str) -> DataDirectory | None:
    folder = corpus_of(folders, part)
    try:
        return DataDirectory.read(folder) if (folder / "wav.scp").is_file() else None
    except UserError as error:
        log.warning("the report has no sound of %s: %s", part, error)
        return None


def _words(folder: Path) -> dict[str, list[list[Any]]]:
    path = folder / "words.ctm"
    return {name: [_rounded(i) for i in times] for name, times in read_ctm(path)} if path.is_file() else {}


def _rounded(interval: Interval) -> list[Any]:
    return [round(interval.begin, 3), round(interval.end, 3), interval.label]


def _with_words(alignment: Path) -> Path:
    """The folder of an alignment's words: one of a low frame rate is made from another."""
    inputs = stage.marker(alignment).get("inputs", [])
    return alignment if (alignment / "words.ctm").is_file() or not inputs else Path(inputs[0])


def _runs(labels: np.ndarray, shift: float) -> list[list[Any]]:
    """[begin, end, senone] of runs of equal labels (T,), in seconds."""
    at = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [[round(a * shift, 3), round(b * shift, 3), int(labels[a])] for a, b in itertools.pairwise(at)]


def _best(scores: np.ndarray) -> str:
    """The best senones of each frame, from scores (T, S): TOP of 16 bits, then their shares in 255ths, in base 64.

    Scores of networks that learn sequences do not sum to 1, so shares are of the sum.
    """
    log_posteriors = log_softmax(scores, axis=1)
    top = np.argpartition(-log_posteriors, range(min(TOP, log_posteriors.shape[1])), axis=1)[:, :TOP]
    if top.shape[1] < TOP:
        top = np.pad(top, ((0, 0), (0, TOP - top.shape[1])), mode="edge")
    shares = np.round(255 * np.exp(np.take_along_axis(log_posteriors, top, 1))).clip(0, 255)
    rows = np.concatenate([np.ascontiguousarray(top, "<u2").view(np.uint8), shares.astype(np.uint8)], axis=1)
    return b64encode(rows.tobytes()).decode()
