"""``asrdistill lang``: lexicons and language models."""

from collections import Counter
from pathlib import Path

from asrdistill.cli.command import ALIGNMENT, LANG, Args, Group, arg, count, flag, make
from asrdistill.errors import UserError
from asrdistill.lang.dictionary import DICTIONARY, dictionary_path

group = Group("lang")
OUT = arg("out", help="lang folder to make")


def _dictionary(name: str, help: str = DICTIONARY) -> tuple:
    return arg(name, type=dictionary_path, metavar="DICTIONARY" if name.startswith("-") else None, help=help)


def _texts(data: Path) -> list[str]:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.lang.text import strip_marks

    texts = DataDirectory.read(data, pipes=True).texts
    return [strip_marks(text, f"{data / 'text'}: {utterance}") for utterance, text in texts.items()]


@group.command(
    arg("data", nargs="*", help="data directories whose words are taken"),
    OUT,
    _dictionary("--dictionary"),
    arg("--phones", type=str, metavar="SILENCE", help="words are phones, SILENCE is the silence phone"),
    flag("--graphemes", "words are pronounced as they are spelled"),
    arg("--g2p", metavar="MODEL", help="G2P model for words that DICTIONARY lacks; without it they are an error"),
    arg("--text", nargs="+", default=[], metavar="FILE", help="more text, one sentence per line"),
    flag("--all", "take all words of DICTIONARY too"),
    arg("--most", type=count, metavar="N", help="take only the N most frequent of the words that DICTIONARY has"),
    flag("--positions", "word-position dependent phones: AA_B, AA_I, AA_E, AA_S"),
)
def build(args: Args) -> None:
    """Make a lang folder: the words of data directories and their pronunciations

    Give one of --dictionary, --phones and --graphemes. A word with 's or ' takes the pronunciation of its stem.
    OUT/g2p.txt lists what the G2P model pronounced.

    Example:
      asrdistill lang build data/train data/dev data/lang --dictionary cmudict --g2p exp/g2p
    """
    from asrdistill.lang.dictionary import make_lang, read_dictionary, spell_words
    from asrdistill.lang.g2p import G2P
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.text import read_sentences

    if sum(map(bool, (args.dictionary, args.phones, args.graphemes))) != 1:
        raise UserError("give one of --dictionary, --phones and --graphemes")
    counts = Counter(word for data in args.data for text in _texts(data) for word in text.split())
    counts.update(word for path in args.text for line in read_sentences(path) for word in line.split())
    words = set(counts)
    if args.most and not args.dictionary:
        raise UserError("--most is of the words of --dictionary; give one")
    if not words and not (args.dictionary and args.all):
        raise UserError("there are no words: give data directories with text, or --dictionary with --all")
    inputs, positions = [*args.data, *args.text], args.positions
    if args.phones:
        make(args, Lang.of_phones(words, args.phones).write, inputs, options={"phones": args.phones})
        return
    if args.graphemes:
        spelled, options = spell_words(words), {"graphemes": True, "positions": positions}
        make(args, lambda out: make_lang(words, spelled, None, out, positions), inputs, options=options)
        return
    dictionary = read_dictionary(args.dictionary)
    if args.most:
        words = set(sorted(words & dictionary.keys(), key=lambda word: (-counts[word], word))[: args.most])
        if not words:
            raise UserError(f"{args.dictionary} has no word of the texts; check that both are in the same case")
    words |= dictionary.keys() if args.all else set()
    guess = G2P.read(args.g2p).pronounce if args.g2p else None
    options = {"positions": positions, "all": args.all} | ({"most": args.most} if args.most else {})
    work = (words, dictionary, guess)
    make(args, lambda out: make_lang(*work, out, positions), inputs, args.dictionary, args.g2p, options=options)


@group.command(
    _dictionary("dictionary"), arg("out", help="model folder to make"), options="asrdistill.lang.options.G2POptions"
)
def g2p(args: Args) -> None:
    """Train a grapheme-to-phoneme model on a dictionary

    OUT/meta.json has the phone error rate on 2 % of the words, which are held out.

    Example:
      asrdistill lang g2p cmudict exp/g2p
    """
    from asrdistill.lang.dictionary import read_dictionary
    from asrdistill.lang.g2p_training import make_g2p

    dictionary = read_dictionary(args.dictionary)
    make(args, lambda out: make_g2p(dictionary, out, args.options), args.dictionary)


@group.command(
    arg("data", nargs="*", help="data directories whose text is taken"),
    LANG,
    arg("out", help="folder to make"),
    arg("--text", nargs="+", default=[], metavar="FILE", help="more text, one sentence per line: plain, .gz or .xz"),
    arg("--test", nargs="+", default=[], metavar="DATA", help="data directories to measure perplexity on"),
    _dictionary("--dictionary", f"words to spell in subwords: {DICTIONARY}"),
    options="asrdistill.lang.options.LMOptions",
)
def lm(args: Args) -> None:
    """Train an n-gram language model (modified Kneser-Ney) on text

    Makes OUT/lm.arpa and OUT/perplexity.json. Text follows the words of LANG in its case, if these have one; <s> and
    </s> around a sentence are left out. If LANG has subwords (asrdistill lang subwords), words that it lacks and words
    seen once are spelled in them; --dictionary adds words that no text has.

    Example:
      asrdistill lang lm data/train data/lang data/lm --order 3 --test data/dev data/test
      asrdistill lang lm data/lang data/lm --text novels.txt.xz --ngrams 1500000
    """
    from asrdistill.lang.dictionary import read_dictionary
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.ngram import make_lm
    from asrdistill.lang.subwords import spell_text, spell_words
    from asrdistill.lang.text import read_sentences

    texts = {folder: _texts(folder) for folder in (*args.data, *args.test)}
    if empty := next((folder for folder, text in texts.items() if not text), None):
        raise UserError(f"{empty} has no text; add its transcripts")
    tests = {folder.resolve().name: texts[folder] for folder in args.test}
    if len(tests) < len(args.test):
        raise UserError("two of the --test directories have the same name; a set is named after its directory")
    lang = Lang.read(args.lang)
    if args.dictionary and not lang.pieces:
        raise UserError(f"{args.lang} has no subwords to spell a dictionary in; make it with asrdistill lang subwords")
    spellings = spell_words(read_dictionary(args.dictionary), lang) if args.dictionary else []
    case = next((case for case in (str.lower, str.upper) if all(case(word) == word for word in lang.words)), str)
    sources = {path: texts[path] if path in texts else read_sentences(path) for path in (*args.data, *args.text)}
    text = [case(sentence) for sentences in sources.values() for sentence in sentences]
    tests = {name: list(map(case, sentences)) for name, sentences in tests.items()}
    if lang.pieces:
        text = spell_text(text, lang, rare=True)
        tests = {name: spell_text(sentences, lang) for name, sentences in tests.items()}
    inputs = (args.data, args.lang, args.test, args.text, args.dictionary)
    work = (text, lang.words, args.options.order, args.options.prune, tests)
    names = ["/".join(path.parts[-2:]) for path in sources]
    make(args, lambda out: make_lm(*work, out, spellings, args.options.ngrams, names), inputs)


@group.command(
    arg("data", nargs="+", help="data directories whose words are split"),
    LANG,
    OUT,
    _dictionary("--dictionary", f"more words: {DICTIONARY}"),
    options="asrdistill.lang.options.SubwordOptions",
)
def subwords(args: Args) -> None:
    """Add subwords to a lang folder, so that the decoder can spell words it does not know

    A sentencepiece model of the words of DATA gives the subwords; LANG and --dictionary give their pronunciations.
    Train the language model on OUT. Decoded subwords are joined to words.

    Example:
      asrdistill lang subwords data/train data/lang data/lang_open --dictionary cmudict
    """
    from asrdistill.lang.dictionary import read_dictionary
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.subwords import make_subword_lang

    words = {word for data in args.data for text in _texts(data) for word in text.split()}
    if not words:
        raise UserError(f"{args.data[0]} has no words: add its transcripts as text")
    lang = Lang.read(args.lang)
    dictionary = read_dictionary(args.dictionary) if args.dictionary else {}
    work = (lang, words, dictionary, args.options.pieces)
    make(args, lambda out: make_subword_lang(*work, out), args.data, args.lang, args.dictionary)


@group.command(arg("lang", help="lang folder of the alignment"), ALIGNMENT, OUT)
def pron_probs(args: Args) -> None:
    """Estimate pronunciation and silence probabilities from an alignment

    Example:
      asrdistill lang pron-probs data/lang exp/ali/train data/lang_probs
    """
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.pron_probs import estimate_pron_probs

    lang = Lang.read(args.lang)
    make(args, lambda out: estimate_pron_probs(lang, args.alignment).write(out), args.lang, args.alignment)


@group.command(ALIGNMENT, arg("out", help="folder to make: OUT/lang and OUT/lm"))
def phone_loop(args: Args) -> None:
    """Make a phone loop from an alignment: a lexicon of phones and their bigram

    Example:
      asrdistill lang phone-loop exp/ali/tri data/loop
    """
    from asrdistill.decode.phone_loop import make_loop

    order = 2
    make(args, lambda out: make_loop(args.alignment, out, order), args.alignment, options={"order": order})
