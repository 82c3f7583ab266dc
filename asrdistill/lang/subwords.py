"""Subwords: pieces of which the decoder spells words that no lexicon holds.

The pieces are those of a sentencepiece unigram model (Kudo 2018) of the words' letters. In the lexicon a piece says
by LINK on which sides its word goes on, so that pieces which begin, go on and end words are different units:

    un‿ ‿happi‿ ‿ness

and words of the vocabulary stay whole beside them: a flat hybrid model (Bisani, Ney 2005). A piece is pronounced
as known words pronounce these letters: the letters of a dictionary are aligned with its phones, and wherever a piece
stands in a word of it, the phones of its letters are counted. Where it cuts through what belongs together (the
s of "sh"), or its letters are silent, it is no good piece; the share of such places lowers its probability.
"""

from __future__ import annotations

import io
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asrdistill.errors import UserError, shorten
from asrdistill.lang.dictionary import Dictionary
from asrdistill.lang.g2p import Graphone, align_letters
from asrdistill.lang.lexicon import LINK, Lang, Pronunciation, root_of
from asrdistill.lang.ngram import UNKNOWN

log = logging.getLogger("asrdistill")

ITERATIONS = 8  # rounds of EM that align letters and phones
RAREST = 0.05  # how frequent a pronunciation of a piece must be, relative to the most frequent one
SPACE = "▁"  # sentencepiece's sign for the beginning of a word


def open_lang(lang: Lang, words: Iterable[str], dictionary: Dictionary, count: int, folder: Path) -> None:
    """Write the lang folder of the lexicon's words and `count` pieces; and subwords.model, for sentencepiece.

    The sentencepiece model is trained on the different `words`. The pieces' pronunciations are those of the lexicon's
    words and of the dictionary's, with the same phones. Raises UserError for a lexicon that has pieces already, for
    too few words for so many pieces, and for a dictionary with phones that the lexicon lacks.
    """
    if marked := [word for word in lang.words if LINK in word]:
        raise UserError(f"the lexicon has words with {LINK}, the mark of pieces ({shorten(marked)}); take one without")
    model = train_pieces(words, count)
    spoken = _dictionary_of(lang)
    for word, variants in dictionary.items():
        spoken.setdefault(word, variants)
    known = {root_of(phone) for phone in lang.phones}
    for word, variants in spoken.items():
        if foreign := {phone for phones in variants for phone in phones} - known:
            raise UserError(f"the dictionary says '{word}' with the phone {min(foreign)}, which the lexicon lacks")
    scores, pronunciations = pronounce_pieces(units(model), align_letters(spoken, ITERATIONS))
    opened = lang.with_pieces(scores, pronunciations)
    log.info(
        "%d words and %d pieces with %d pronunciations",
        *(len(lang.words), len(scores), sum(map(len, pronunciations.values()))),
    )
    opened.write(folder)
    (folder / "subwords.model").write_bytes(model)


def train_pieces(words: Iterable[str], count: int) -> bytes:
    """A sentencepiece model of so many pieces; each different word counts once, for rare words are what it spells."""
    import sentencepiece

    model = io.BytesIO()
    different = sorted(set(words))
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(different),
            model_writer=model,
            vocab_size=count,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=1 << 20,
            num_threads=1,  # the sums of several would differ
            minloglevel=2,
        )
    except (RuntimeError, OSError, StopIteration) as error:
        reason = str(error).rpartition("] ")[2].strip(" .\n") or "there are none"  # after the place in its source
        raise UserError(f"{len(different)} words cannot be cut into {count} pieces: {reason}") from None
    return model.getvalue()


def units(model: bytes) -> dict[str, float]:
    """All pieces of a sentencepiece model, marked for where they may stand in words of several -> ln probability."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    score = {
        processor.id_to_piece(number): processor.get_score(number)
        for number in range(len(processor))
        if not (processor.is_control(number) or processor.is_unknown(number))
    }
    begin = score.get(SPACE, -math.inf)
    found: dict[str, float] = {}
    for piece, logprob in score.items():
        core = piece.lstrip(SPACE)
        if not core:
            continue
        if piece == core:
            found[LINK + core] = found[LINK + core + LINK] = logprob
            logprob += begin  # a word may begin with the beginning of a word and then the piece
        found[core + LINK] = max(logprob, found.get(core + LINK, -math.inf))
    return {unit: logprob for unit, logprob in found.items() if logprob > -math.inf}


def pronounce_pieces(
    scores: Mapping[str, float], aligned: Iterable[tuple[str, list[Graphone]]]
) -> tuple[dict[str, float], dict[str, list[Pronunciation]]]:
    """(ln probabilities, pronunciations) of the pieces, given words whose letters are aligned with their phones.

    Pieces that no word pronounces are left out.
    """
    seen: Counter[str] = Counter()
    said: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    longest = max(len(unit.strip(LINK)) for unit in scores)
    for word, graphones in aligned:
        edges = _edges(graphones)
        phones = tuple(phone for _, sounds in graphones for phone in sounds)
        for unit, begin, end in _places(word, scores, longest):
            seen[unit] += 1
            if edges.get(begin, math.inf) < edges.get(end, -math.inf):
                said[unit][phones[edges[begin] : edges[end]]] += 1
    good = {unit: logprob + math.log(said[unit].total() / seen[unit]) for unit, logprob in scores.items() if said[unit]}
    return good, {unit: _frequent(said[unit]) for unit in good}


def _edges(graphones: list[Graphone]) -> dict[int, int]:
    """Places between a word's letters where it may be cut -> how many phones come before."""
    edges, letter, phone = {0: 0}, 0, 0
    for letters, phones in graphones:
        letter, phone = letter + len(letters), phone + len(phones)
        edges[letter] = phone
    return edges


def _places(word: str, scores: Mapping[str, float], longest: int) -> Iterator[tuple[str, int, int]]:
    """Pieces that stand in a word, each with the letters that it stands for, from left to right."""
    for begin in range(len(word)):
        for end in range(begin + 1, min(begin + longest, len(word)) + 1):
            unit = LINK * (begin > 0) + word[begin:end] + LINK * (end < len(word))
            if unit in scores:
                yield unit, begin, end


def _frequent(said: Counter[tuple[str, ...]]) -> list[Pronunciation]:
    """Pronunciations that are frequent enough, the most frequent first; they sum to one."""
    most = max(said.values())
    kept = {phones: count for phones, count in said.items() if count >= RAREST * most}
    total = sum(kept.values())
    return [(count / total, phones) for phones, count in sorted(kept.items(), key=lambda item: (-item[1], item[0]))]


def _dictionary_of(lang: Lang) -> Dictionary:
    return {
        word: [tuple(root_of(phone) for phone in phones) for _, phones in entries]
        for word, entries in lang.pronunciations.items()
    }


class Speller:
    """Spells words in the pieces of an open vocabulary."""

    def __init__(self, pieces: Mapping[str, float]):
        self.pieces = pieces
        self.longest = max(len(unit.strip(LINK)) for unit in pieces)
        self._spelled: dict[str, list[str]] = {}

    def spell(self, word: str) -> list[str]:
        """The most probable pieces of a word; none where there are no pieces for its letters."""
        if word not in self._spelled:
            self._spelled[word] = self._best(word)
        return self._spelled[word]

    def _best(self, word: str) -> list[str]:
        best: list[tuple[float, list[str]]] = [(0.0, []), *((-math.inf, []) for _ in word)]
        for unit, begin, end in _places(word, self.pieces, self.longest):
            score, before = best[begin]
            if score + self.pieces[unit] > best[end][0]:
                best[end] = score + self.pieces[unit], [*before, unit]
        return best[-1][1]


def spell_text(sentences: Iterable[str], lang: Lang, rare: bool = False) -> list[str]:
    """The sentences with words that are not among the lexicon's spelled in pieces; ``<unk>`` where there are none.

    With `rare`, words that the text has only once are spelled, too: where they stand, unknown words may stand as well
    (after Good 1953 the two are equally frequent), and nothing else tells a language model where that is.
    """
    sentences = list(sentences)
    speller, vocabulary = Speller(lang.pieces), set(lang.words)
    times = Counter(word for sentence in sentences for word in sentence.split())
    spelled = {word for word, count in times.items() if word not in vocabulary or (rare and count == 1)}
    spelled -= {UNKNOWN, *lang.pieces}
    pieces = {word: " ".join(speller.spell(word)) for word in spelled}
    if lost := sorted(word for word, text in pieces.items() if not text):
        log.warning("%d words cannot be spelled in pieces and count as %s: %s", len(lost), UNKNOWN, shorten(lost))
    if rare:
        log.info("%d of %d different words are spelled in pieces", len(spelled), len(times))
    return [" ".join(pieces.get(word, word) or UNKNOWN for word in sentence.split()) for sentence in sentences]


def spell_words(words: Iterable[str], lang: Lang) -> list[str]:
    """Words in pieces, each once; those without a spelling, or that the lexicon has whole, are left out."""
    speller, vocabulary = Speller(lang.pieces), set(lang.words)
    spelled = (" ".join(speller.spell(word)) for word in sorted(set(words) - vocabulary))
    return [spelling for spelling in spelled if spelling]
