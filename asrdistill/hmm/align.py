"""Forced alignment: a senone per frame and the times of phones and words, from transcripts and features."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, check_match, finish
from asrdistill.data.directory import DataDirectory
from asrdistill.data.text import Texts, Transcript, read_texts
from asrdistill.errors import UserError, check_left_out, log
from asrdistill.files import atomic
from asrdistill.hmm.graph import GraphCompiler
from asrdistill.hmm.options import AlignOptions
from asrdistill.hmm.senones import Senones
from asrdistill.hmm.viterbi import Segment, best_path, phone_segments, word_segments
from asrdistill.lang.lexicon import Lang
from asrdistill.parallel import Chunk, Sums, T, map_utterances, split

SHARDS = 32  # at least; fixed, so that results do not depend on the number of jobs
SHARD_UTTERANCES = 250  # at most, so that many processes end at the same time
# senone of each frame, and its phone as an index into the inventory's phones
PARTS: dict[str, tuple[str, tuple[int, ...]]] = {"frames": ("int32", ()), "phones": ("int16", ())}
CTMS = ("phones.ctm", "words.ctm")
PATHLESS = "have fewer frames than HMM states, or no path"


@dataclass
class Summary(Sums):
    """What an alignment found."""

    utterances: int = 0
    frames: int = 0
    silence: int = 0  # frames
    loglike: float = 0.0  # sum over the frames
    left_out: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()  # utterances and why they cannot be read

    def record(self) -> dict[str, Any]:
        """For meta.json."""
        return {
            "loglike_per_frame": round(self.loglike / max(self.frames, 1), 4),
            "silence_percent": round(100 * self.silence / max(self.frames, 1), 2),
            "left_out": [*self.left_out, *dict(self.faults)],
        }

    def __str__(self) -> str:
        figures = self.record()
        return (
            f"{self.utterances} utterances, {self.frames} frames: log-likelihood "
            f"{figures['loglike_per_frame']:.3f} per frame, silence {figures['silence_percent']:.1f} %"
        )


def transcripts(
    archive: FrameArchive, data: Path, lang: Lang, texts: dict[str, list[str]] | None = None
) -> Sequence[Transcript]:
    """The words of the utterances of the data directory that have features, from `texts` instead of its own if given.

    Raises UserError for an utterance without text, for a word that the lexicon lacks, and if too many have no features.
    """
    utterances = read_texts(data) if texts is None else _select(data, texts)
    without = []
    for number, (utterance, words) in enumerate(utterances):
        if utterance not in archive:
            without.append((number, utterance))
        if lacking := [word for word in words if word not in lang.pronunciations]:
            raise UserError(
                f"the lexicon has no pronunciation of '{lacking[0]}' in utterance {utterance}; "
                "add the word to the lexicon"
            )
    if without:
        names = [utterance for _, utterance in without]
        reason = f"of {data} are not in {archive.folder}"
        check_left_out(names, len(utterances), reason=reason, remedy="make their features again")
        kept = np.delete(np.arange(len(utterances)), [number for number, _ in without])
        return utterances[kept] if isinstance(utterances, Texts) else [utterances[number] for number in kept]
    return utterances


def _select(data: Path, texts: dict[str, list[str]]) -> list[Transcript]:
    names = [utterance.id for utterance in DataDirectory.read(data, pipes=True)]
    missing = [name for name in names if name not in texts]
    check_left_out(missing, len(names), reason="have no transcript in --text", remedy="decode the whole set")
    return [(name, texts[name]) for name in names if name in texts]


def check_alignment(alignment: Path, features: FrameArchive, lang: Lang) -> None:
    """Raise UserError unless the alignment has the lexicon's phones and the features' frames."""
    found = FrameArchive(alignment, "alignment")
    if "phones" not in found.meta["parts"]:
        raise UserError(f"{alignment} does not say which phone a frame belongs to; align again")
    if (senones := Senones.read(alignment)).subsampling > 1:
        raise UserError(f"{alignment} is of a low frame rate; give the alignment that it was made from")
    if senones.phones != lang.phones:
        raise UserError(f"{alignment} is of other phones than the lexicon's; align with a model of this lexicon")
    shared = [utterance for utterance in features if utterance in found]
    if not shared:
        raise UserError(f"{alignment} and {features.folder} have no utterance in common; give those of one set")
    check_match(features, found, shared)


def align(
    load: Callable[[Path], Any],
    model: Path,
    features: Path,
    utterances: Sequence[Transcript],
    lang: Lang,
    out: Path,
    options: AlignOptions,
    jobs: int,
) -> None:
    """Write the alignment of the utterances into the existing folder `out`: archive, senones, two CTM files.

    ``load(model)`` gives a :class:`asrdistill.decode.acoustic.Scorer`, in each process. The search is exact. Utterances
    without a path are left out.
    """
    archive = FrameArchive(features)
    senones = Senones.read(model)
    tasks = shards_of(utterances)
    shards, summary = [], Summary()
    load_worker = partial(_load, load, model, features, lang)
    for shard, part in map_utterances(partial(_align_shard, out), tasks, jobs, "align", load_worker):
        shards.append(shard)
        summary += part
    faults = dict(summary.faults)
    check_left_out(faults, len(utterances), options.max_left_out)
    check_left_out(summary.left_out, len(utterances) - len(faults), options.max_left_out, PATHLESS)
    for name in CTMS:
        with atomic(out / name, "wb") as whole:
            for number in range(len(tasks)):
                with open(part_at := out / f"{name}.{number}", "rb") as handle:
                    shutil.copyfileobj(handle, whole)
                part_at.unlink()
    made_by = {"senones": senones.hash, "frame_shift": archive.meta["frame_shift"], **summary.record()}
    finish(out, "alignment", PARTS, shards, **made_by)
    senones.write(out)
    log.info("aligned %s", summary)


def shards_of(utterances: Sequence[T], most: int | None = None) -> list[Chunk[T]]:
    """What one task processes, in at most that many shards."""
    count = max(SHARDS, -(-len(utterances) // SHARD_UTTERANCES))
    return split(utterances, min(count, most or count))


Loaded = tuple[Any, FrameArchive, GraphCompiler]


def _load(load: Callable[[Path], Any], model: Path, features: Path, lang: Lang) -> Loaded:
    scorer = load(model)
    return scorer, FrameArchive(features), GraphCompiler(lang, scorer.senones)


def _align_shard(out: Path, loaded: Loaded, shard: Chunk[Transcript]) -> tuple[dict[str, Any], Summary]:
    scorer, archive, compiler = loaded
    shift, silence, every = archive.meta["frame_shift"], scorer.senones.silence, scorer.senones.subsampling
    writer, summary = ShardWriter(out, shard.number, PARTS), Summary()
    parts = [out / f"{name}.{shard.number}" for name in CTMS]
    with open(parts[0], "w", encoding="utf-8") as phones_file, open(parts[1], "w", encoding="utf-8") as words_file:
        texts, faults = dict(shard.utterances), dict[str, str]()
        for utterance in archive.readable(texts, faults):
            words = texts[utterance]
            graph = compiler(words)
            found, columns = graph.senones()
            loglikes = scorer.loglikes(archive[utterance], found)
            _, path = best_path(loglikes, graph, scorer.senones, columns)
            if path is None:
                summary += Summary(left_out=(utterance,))
                continue
            loglike = float(loglikes[np.arange(len(path)), columns[path]].sum(dtype=np.float64)) * every
            path = np.repeat(path, every)[: archive.rows(utterance)]
            senone = graph.senone[path]
            writer.write(utterance, frames=senone, phones=graph.unit_phone[graph.unit[path]])
            phones_file.writelines(ctm(utterance, phone_segments(path, graph), scorer.senones.phones, shift))
            words_file.writelines(ctm(utterance, word_segments(path, graph), words, shift))
            summary += Summary(1, len(senone), int(np.isin(senone, silence).sum()), loglike)
    return writer.close(), summary + Summary(faults=tuple(faults.items()))


def ctm(utterance: str, segments: Iterable[Segment], names: Sequence[str], shift: float) -> Iterable[str]:
    """Lines ``utterance 1 start duration name`` of segments whose `name` points into `names`; times in seconds."""
    for begin, end, name in segments:
        yield f"{utterance} 1 {begin * shift:.3f} {(end - begin) * shift:.3f} {names[name]}\n"


def open_aligned(
    features: Path, alignment: Path, unlabelled: bool = False
) -> tuple[FrameArchive, FrameArchive, Senones]:
    """Features with their alignment and its senones; raises UserError unless they fit frame by frame.

    Aligned utterances without features are left out, up to 5 percent. unlabelled: those without alignment are of use.
    """
    inputs, labels = FrameArchive(features, "features"), FrameArchive(alignment, "alignment")
    senones = Senones.read(alignment)
    if labels.meta["senones"] != senones.hash:
        raise UserError(f"{alignment}/senones.json is not the inventory that the alignment is over; align again")
    if len(labels) == 0:
        raise UserError(f"{alignment} holds no utterance; align again")
    labels.restrict(inputs)
    check_match(inputs, labels, labels.utterances)
    if len(labels) < len(inputs) and not unlabelled:
        log.info("%d utterances of %s have no alignment and are left out", len(inputs) - len(labels), features)
    return inputs, labels, senones
