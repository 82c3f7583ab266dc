"""Recogniser of an exported folder: audio to words."""

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import stage
from asrdistill.data.audio import audio_pieces
from asrdistill.decode.acoustic import load_scorer
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.extend import extend
from asrdistill.decode.graph import SearchGraph, compile_graph, keep_graph
from asrdistill.decode.keywords import LEAST, THRESHOLD, KeywordDecoder, threshold
from asrdistill.decode.options import DecodeOptions, tuned
from asrdistill.errors import UserError, log
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang, Pronunciation
from asrdistill.lang.ngram import read_arpa
from asrdistill.runtime.frontend import frontend_of
from asrdistill.runtime.options import EndpointOptions
from asrdistill.runtime.stream import Stream
from asrdistill.runtime.vocabulary import Lexicon, Sentences, Words, numbered

LATTICE_BEAM = 4.0  # for confidences, in ln P(words)
Keywords = Mapping[str, float] | Iterable[str]  # with thresholds, or without


class Recogniser:
    """Words from audio: ``asrdistill.load("exp/student").transcribe("speech.wav").words``, or by :meth:`stream`."""

    def __init__(self, folder: Path):
        folder = Path(folder)
        if not (folder / "lang").is_dir():
            raise UserError(f"{folder} is not a recogniser folder (no lang in it); make one with asrdistill export")
        options = tuned(DecodeOptions(), folder)
        self.scorer = load_scorer(folder, options.prior_floor)
        self.front = frontend_of(self.scorer.meta, folder)
        self.frame_shift: float = self.scorer.meta["frame_shift"] * self.scorer.senones.subsampling
        self._graph = graph_of(folder, self.scorer.senones)  # without added words
        self._open = True  # to more words
        self._spots = False  # finds keywords, whose streams have no endpoints
        self._lexicon, self._added = Lexicon(folder, self.scorer.senones), dict[str, list[Pronunciation]]()
        self.decoder = Decoder.of(self._graph, options)

    @property
    def lang(self) -> Lang:
        return self._lexicon.lang

    def add_words(self, words: Words, weight: float = 0.0) -> None:
        """Add words, or pronunciations of known ones, for all streams that begin later.

        `words` is a list, or maps each word to phones ("HH AH L OW", or several), None for those of the G2P model.
        Words that the language model lacks share the probability of its ``<unk>``; `weight` is added to ln P of each.
        Raises UserError as :meth:`asrdistill.runtime.vocabulary.Lexicon.pronounce` does.
        """
        if not self._open:
            raise UserError("a grammar allows its sentences alone; add words before it, or with it")
        self._added = self._added | self._lexicon.pronounce(words, weight)
        graph = extend(self._graph, self.scorer.senones, self._added)
        self.decoder = Decoder.of(graph, self.decoder.options, self.decoder.phrases)

    def with_vocabulary(
        self,
        words: Words | None = None,
        phrases: Mapping[str, float] | Iterable[str] | None = None,
        grammar: Sentences | None = None,
    ) -> "Recogniser":
        """The same recogniser with other words; network and search graph are shared.

        words    are added as by :meth:`add_words`
        phrases  what is added to ln P of a phrase that is said, by default 2.0, in equal parts with its words; what
                 was added is taken back where the phrase is not completed
        grammar  sentences, of which any are said one after the other, and nothing else; ``[unk]`` is a word of any
                 phones, each with ln P = -2.0

        Raises UserError for words that the lexicon lacks, and for a grammar without sentences.
        """
        other = copy(self)
        if words is not None:
            other.add_words(words)
        if grammar is not None:
            other._graph = self._lexicon.sentence_graph(grammar, other._added)
            other.decoder, other._open = Decoder.of(other._graph, self.decoder.options), False
        if phrases is not None:
            graph = other.decoder.graph
            other.decoder = Decoder.of(graph, self.decoder.options, numbered(phrases, graph))
        return other

    def transcribe(self, path: Path, channel: int | None = None) -> Hypothesis:
        """Recognise one audio file of any format that soundfile reads; UserError for bad audio.

        The words of its utterances, one after the other; `channel` and all else as in :meth:`utterances`.
        """
        found = list(self.utterances(path, channel))
        return Hypothesis(
            [word for one in found for word in one.times], sum(one.score for one in found), found[-1].partial
        )

    def utterances(
        self, path: Path, channel: int | None = None, rules: EndpointOptions | None = None, confidences: bool = False
    ) -> Iterator[Hypothesis]:
        """The utterances of an audio file as they end, also a last one without words.

        channel      from 1; None: all of them mixed
        rules        where utterances end
        confidences  of words; each utterance then has its lattice, too

        Memory does not grow with the file's length.
        """
        try:
            rate, pieces = audio_pieces(str(path), channel)
            stream = self.stream(rate, rules or EndpointOptions(), confidences)
            for samples in pieces:
                yield from stream.accept(samples)
            yield (last := stream.finish())
        except UserError as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
        if last.partial:
            log.warning("%s ends inside a word, which is left out", path)

    def with_keywords(
        self, keywords: Mapping[str, float] | Iterable[str], threshold: float = THRESHOLD
    ) -> "Recogniser":
        """A recogniser whose words are these keywords, where they are said (:mod:`asrdistill.decode.keywords`).

        `threshold` is a log-likelihood ratio per frame, which a mapping has for each; :meth:`thresholds` finds it. A
        lower one finds more. Raises UserError for keywords that cannot be pronounced.
        """
        chosen = keywords if isinstance(keywords, Mapping) else dict.fromkeys(keywords, threshold)
        if wrong := [keyword for keyword, least in chosen.items() if not abs(least) < np.inf]:
            raise UserError(f"the threshold of '{wrong[0]}' is {chosen[wrong[0]]:g}; give a finite number")
        other, spoken = copy(self), self._lexicon.spell(chosen, self._added)
        how = list(chosen.values()), self.decoder.options.lm_weight
        other.decoder, other._spots = KeywordDecoder(self.scorer.senones, spoken, *how), True  # type: ignore[assignment]
        return other

    def spot(self, keywords: Keywords, threshold: float = THRESHOLD, rate: int | None = None) -> Stream:
        """A stream whose words are keywords, as :meth:`with_keywords` finds them."""
        return self.with_keywords(keywords, threshold).stream(rate)

    def thresholds(self, keywords: Iterable[str], files: Iterable[Path], per_hour: float = 1.0) -> dict[str, float]:
        """Thresholds at which each keyword is found at most so often per hour in audio files, where nobody says it."""
        heard, seconds = self.with_keywords(keywords, LEAST), 0.0
        scores: dict[str, list[float]] = {keyword: [] for keyword in keywords}
        for path in files:
            rate, pieces = audio_pieces(str(path))
            stream = heard.stream(rate)
            for samples in pieces:
                stream.accept(samples)
                seconds += len(samples) / rate
            for word in stream.finish().times:
                scores[word.word].append(word.score)
        return {keyword: threshold(found, seconds / 3600, per_hour) for keyword, found in scores.items()}

    def stream(
        self,
        rate: int | None = None,
        endpoints: EndpointOptions | None = None,
        confidences: bool = False,
        **vocabulary: Any,
    ) -> Stream:
        """Recognise samples as they come.

        rate         Hz; None: the rate that the features are made at
        endpoints    where utterances end; None: all is one
        confidences  of words; without endpoints, memory then grows with the length
        vocabulary   words, phrases and grammar of this stream alone, as for :meth:`with_vocabulary`
        """
        if vocabulary:
            return self.with_vocabulary(**vocabulary).stream(rate, endpoints, confidences)
        decoder = self.decoder
        if self._spots:
            endpoints, confidences = None, False
        if confidences and not decoder.options.lattice_beam:
            decoder = decoder.with_options(replace(decoder.options, lattice_beam=LATTICE_BEAM))
        return Stream(self.front, self.scorer, decoder, self.front.rate if rate is None else rate, endpoints)


def graph_of(folder: Path, senones: Senones) -> SearchGraph:
    """The search graph of a recogniser folder, compiled when it is not there: in memory if it cannot be written."""
    lang, lm = folder / "lang", folder / "lm.arpa"
    try:
        return keep_graph(folder / "graph", lang, lm, senones)
    except stage.UnwritableError as error:
        log.warning("%s; it is compiled in memory", error)
        return compile_graph(Lang.read(lang), read_arpa(lm), senones)
