"""Subword pieces beside whole words: a flat hybrid model for open vocabularies (Bisani, Ney 2005).

Pieces come from a sentencepiece unigram model (Kudo 2018). LINK marks on which sides a word continues:

    un‿ ‿happi‿ ‿ness

A piece is pronounced as known words pronounce its letters, which are aligned with their phones. Occurrences without
phones, or that split a graphone (the s of "sh"), lower the piece's probability.
"""

import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asrdistill.errors import UserError, log, shorten
from asrdistill.lang.dictionary import Dictionary
from asrdistill.lang.g2p import Graphone
from asrdistill.lang.g2p_training import align_letters
from asrdistill.lang.lexicon import LINK, Lang, Pronunciation, root_of
from asrdistill.lang.ngram import UNKNOWN

ITERATIONS = 8  # of EM
RAREST = 0.05  # least frequency of a pronunciation, relative to the most frequent one
SPACE = "▁"  # sentencepiece's sign for the beginning of a word


def make_subword_lang(lang: Lang, words: Iterable[str], dictionary: Dictionary, count: int, folder: Path) -> None:
    """Write the lang folder of the lexicon's words and `count` pieces, and subwords.model of sentencepiece.

    Trains on the distinct `words`; pronunciations come from the lexicon and the dictionary. Raises UserError if the
    lexicon has pieces, the words are too few, or the dictionary has other phones.
    """
    if marked := [word for word in lang.words if LINK in word]:
        raise UserError(f"the lexicon has words with {LINK}, the mark of pieces ({shorten(marked)}); take one without")
    model = train_pieces(words, count)
    spoken = {
        word: [tuple(root_of(phone) for phone in phones) for _, phones in entries]
        for word, entries in lang.pronunciations.items()
    }
    for word, variants in dictionary.items():
        spoken.setdefault(word, variants)
    known = {root_of(phone) for phone in lang.phones}
    for word, variants in spoken.items():
        if foreign := {phone for phones in variants for phone in phones} - known:
            raise UserError(f"'{word}' has the phone {min(foreign)}, which the lexicon lacks; give its dictionary")
    scores, pronunciations = pronounce_pieces(units(model), align_letters(spoken, ITERATIONS))
    log.info(
        "%d words and %d pieces with %d pronunciations",
        *(len(lang.words), len(scores), sum(map(len, pronunciations.values()))),
    )
    lang.with_pieces(scores, pronunciations).write(folder)
    (folder / "subwords.model").write_bytes(model)


def train_pieces(words: Iterable[str], count: int) -> bytes:
    """Sentencepiece model of `count` pieces; each distinct word counts once."""
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
    """Pieces of a sentencepiece model, with links -> ln probability."""
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
    """(ln probabilities, pronunciations) of the pieces that occur in words with graphones."""
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
    """Graphone boundaries in a word's letters -> number of phones before."""
    edges, letter, phone = {0: 0}, 0, 0
    for letters, phones in graphones:
        letter, phone = letter + len(letters), phone + len(phones)
        edges[letter] = phone
    return edges


def _places(word: str, scores: Mapping[str, float], longest: int) -> Iterator[tuple[str, int, int]]:
    """Yield (piece, begin, end) of all pieces in a word."""
    for begin in range(len(word)):
        for end in range(begin + 1, min(begin + longest, len(word)) + 1):
            unit = LINK * (begin > 0) + word[begin:end] + LINK * (end < len(word))
            if unit in scores:
                yield unit, begin, end


def _frequent(said: Counter[tuple[str, ...]]) -> list[Pronunciation]:
    """Frequent pronunciations, the most frequent first; probabilities sum to one."""
    most = max(said.values())
    kept = {phones: count for phones, count in said.items() if count >= RAREST * most}
    total = sum(kept.values())
    return [(count / total, phones) for phones, count in sorted(kept.items(), key=lambda item: (-item[1], item[0]))]


class Speller:
    """Spells words in the pieces of an open vocabulary."""

    def __init__(self, pieces: Mapping[str, float]):
        self.pieces = pieces
        self.longest = max(len(unit.strip(LINK)) for unit in pieces)

    def spell(self, word: str) -> list[str]:
        """Most probable pieces of a word; empty if there are none."""
        best: list[tuple[float, list[str]]] = [(0.0, []), *((-math.inf, []) for _ in word)]
        for unit, begin, end in _places(word, self.pieces, self.longest):
            score, before = best[begin]
            if score + self.pieces[unit] > best[end][0]:
                best[end] = score + self.pieces[unit], [*before, unit]
        return best[-1][1]


def spell_text(sentences: Iterable[str], lang: Lang, rare: bool = False) -> list[str]:
    """Sentences with out-of-vocabulary words in pieces, or ``<unk>`` if they cannot be spelled.

    rare  also spell words that occur once, which shows a language model where unknown words occur
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
    """Distinct out-of-vocabulary words in pieces."""
    speller, vocabulary = Speller(lang.pieces), set(lang.words)
    spelled = (" ".join(speller.spell(word)) for word in sorted(set(words) - vocabulary))
    return [spelling for spelling in spelled if spelling]
