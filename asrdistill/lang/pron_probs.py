"""Pronunciation and silence probabilities, counted in an alignment (Chen et al. 2015)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asrdistill.data.ctm import Interval, read_ctm
from asrdistill.errors import UserError, log, shorten
from asrdistill.lang.lexicon import Lang, Pronunciation

SLACK = 0.0005  # seconds; times in a CTM are rounded
NONE: tuple[str, list[Interval]] = ("", [])  # after the last utterance
PSEUDO = 1.0  # count added to each pronunciation


def estimate_pron_probs(lang: Lang, alignment: Path) -> Lang:
    """The lexicon with probabilities estimated from the alignment's phones.ctm and words.ctm.

    The most frequent pronunciation of a word gets 1, so that words with several are not penalised. Words out of the
    lexicon are logged. Raises UserError if the files do not fit the lexicon.
    """
    said: Counter[tuple[str, tuple[str, ...]]] = Counter()
    silences = places = 0
    phones, words = (read_ctm(Path(alignment) / f"{name}.ctm") for name in ("phones", "words"))
    spoken, following = next(words, NONE)
    for utterance, pieces in phones:
        spoken_words: list[Interval] = []  # of an utterance without words
        if utterance == spoken:
            spoken_words, (spoken, following) = following, next(words, NONE)
        silences += sum(piece.label == lang.silence for piece in pieces)
        places += len(spoken_words) + 1
        said.update(_pronounced(pieces, spoken_words))
    if spoken:
        raise UserError(f"{alignment}: utterance {spoken} has words but no phones, or not in their order; align again")
    if strangers := sorted({word for word, _ in said} - lang.pronunciations.keys()):
        log.info("%d words of %s are not in the lexicon: %s", len(strangers), alignment, shorten(strangers))
        said = Counter({entry: count for entry, count in said.items() if entry[0] in lang.pronunciations})
    known = {(word, sounds) for word, entries in lang.pronunciations.items() for _, sounds in entries}
    if foreign := said.keys() - known:
        word, sounds = min(foreign)
        raise UserError(
            f"{alignment} has '{word}' said as {' '.join(sounds)}, which the lexicon lacks; use its lexicon"
        )
    probability = min(max((silences + PSEUDO) / (places + 2 * PSEUDO), 0.01), 0.99)
    percent, before = 100 * probability, 100 * lang.silence_probability
    log.info("silence stands at %.1f %% of %d places; it was %.1f %%", percent, places, before)
    counted = {word: _shares(word, entries, said) for word, entries in lang.pronunciations.items()}
    return replace(lang, pronunciations=counted, silence_probability=probability)


def _shares(word: str, entries: list[Pronunciation], said: Counter) -> list[Pronunciation]:
    counts = [(said[word, sounds] + PSEUDO, sounds) for _, sounds in entries]
    most = max(count for count, _ in counts)
    return [(count / most, sounds) for count, sounds in sorted(counts, reverse=True)]


def _pronounced(phones: list[Interval], words: list[Interval]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each word with the phones that lie within it."""
    place = 0
    for word in words:
        while place < len(phones) and phones[place].begin < word.begin - SLACK:
            place += 1
        first = place
        while place < len(phones) and phones[place].begin < word.end - SLACK:
            place += 1
        yield word.label, tuple(phone.label for phone in phones[first:place])
