"""``asrdistill data``: data directories, Kaldi's tables."""

import importlib
import inspect

from asrdistill import corpora
from asrdistill.cli.command import DATA, JOBS, Args, Group, arg, flag, make
from asrdistill.errors import UserError

group = Group("data")
OUT = arg("out", help="data directory to make")
CORPUS = arg("corpus", choices=corpora.names(), metavar="CORPUS", help=" or ".join(corpora.names()))


def _corpus(name: str, function: str) -> tuple[object, object]:
    """(module of a corpus, its function, or None)"""
    module = importlib.import_module(f"asrdistill.corpora.{name}")
    return module, getattr(module, f"{function}_{name}", None)


@group.command(
    CORPUS,
    arg("out", help="folder for what is fetched"),
    arg("--parts", nargs="+", type=str, metavar="PART", help="what to fetch, by the names in data/librispeech.tsv"),
    arg("--mirror", type=str, metavar="URL", help="server to fetch from (default: OpenSLR)"),
    arg("--table", metavar="TSV", help="sizes and checksums of the parts (default: data/librispeech.tsv)"),
    arg("--jobs", type=int, metavar="N", help="parts fetched at a time (default: 3)"),
)
def download(args: Args) -> None:
    """Download a corpus whose licence allows it

    Run the same command again after a broken download: it resumes, and skips what is complete.

    Example:
      asrdistill data download librispeech corpus --parts train-clean-5 dev-clean-2 lexicon lm-3-small
    """
    _, fetch = _corpus(args.corpus, "download")
    if not callable(fetch):
        raise UserError(f"{args.corpus} cannot be downloaded; get it from its owner and run asrdistill data prepare")
    choices = {name: getattr(args, name) for name in ("parts", "mirror", "table", "jobs")}
    given = {name: value for name, value in choices.items() if value is not None}
    if refused := given.keys() - inspect.signature(fetch).parameters.keys():
        raise UserError(f"{args.corpus} takes no --{min(refused)}; leave it out")
    fetch(args.out, **given)


@group.command(
    CORPUS,
    arg("source", help="folder of the corpus; table: the transcript file; huggingface: folder or name of the dataset"),
    arg("out", help="folder for the data directories; for a single set, the data directory"),
    arg("--parts", nargs="+", type=str, metavar="PART", help="parts of librispeech, or sets (default: all)"),
    arg("--root", metavar="FOLDER", help="folder of the audio; none may be outside (default: that of SOURCE)"),
    arg("--audio-column", type=str, metavar="NAME", help="column of the audio (default: audio, path, file_name, …)"),
    arg("--text-column", type=str, metavar="NAME", help="column of the transcripts (default: text, sentence, …)"),
    arg("--speaker-column", type=str, metavar="NAME", help="column of the speakers (default: speaker, client_id, …)"),
    arg("--language", type=str, metavar="CODE", help="normalise the transcripts as data normalize-text does"),
    JOBS,
)
def prepare(args: Args) -> None:
    """Make the data directories of a corpus, one per set

    timit: SOURCE is the folder of LDC93S1 or a part of it. librispeech: SOURCE is the folder LibriSpeech or the one
    above it; OUT gets a directory per part, and lexicon.txt from the part "lexicon".

    table: SOURCE names audio and transcripts: csv, tsv (Common Voice), jsonl (NeMo) or LJSpeech's metadata.csv.
    huggingface: a dataset on disk or by name; needs the package datasets. lhotse: a folder with recordings and
    supervisions, or cuts, as .jsonl or .jsonl.gz. Without speakers each utterance is its own speaker.

    Example:
      asrdistill data prepare librispeech corpus data --parts train-clean-5 dev-clean-2 lexicon
      asrdistill data prepare table cv-corpus/en/train.tsv data/train --language en
    """
    from asrdistill.files import tree_hash

    module, prepare_corpus = _corpus(args.corpus, "prepare")
    if not callable(prepare_corpus):
        raise UserError(f"there is no preparation of {args.corpus}; see --help")
    names = {"audio": args.audio_column, "text": args.text_column, "speaker": args.speaker_column}
    columns = {name: value for name, value in {**names, "language": args.language}.items() if value}
    chosen = {name: value for name in ("parts", "root") if (value := getattr(args, name))}
    settings = {**chosen, **columns}
    if columns:
        from asrdistill.corpora.rows import Columns

        chosen["columns"] = Columns(**columns)
    if refused := chosen.keys() - inspect.signature(prepare_corpus).parameters.keys():
        raise UserError(f"{args.corpus} has no {min(refused)}; leave --{min(refused)} out")
    parts = {"parts": args.parts} if args.parts else {}
    folders_of = getattr(module, "folders_of", None)
    sources = folders_of(args.source, **parts) if folders_of else [args.source]
    contents = {"contents": tree_hash(sources)} if args.source.is_dir() else {}
    root = {"root": str(args.root)} if args.root else {}
    options = {"corpus": args.corpus, **settings, **root, **contents}
    make(args, lambda out: prepare_corpus(args.source, out, args.jobs, **chosen), sources, options=options)


@group.command(
    arg("audio", help="folder of recordings: WAV, FLAC, MP3, Ogg, Opus …"),
    OUT,
    arg("--whole", metavar="FILE", help="recordings to keep in one piece: first word of each line"),
    JOBS,
    options="asrdistill.data.options.SegmentOptions",
)
def segment(args: Args) -> None:
    """Make a data directory of a folder of recordings, cut at their pauses

    A recording is named after its path. Its speaker is its subfolder, or the recording itself. Stereo is mixed to mono.
    OUT/segment.json lists files that cannot be read; OUT/rate is the sample rate in Hz that suits the audio.

    Example:
      asrdistill data segment recordings data/pieces
    """
    from dataclasses import asdict

    from asrdistill.data.segment import segment_recordings
    from asrdistill.files import tree_hash
    from asrdistill.reader import read_lines

    if not args.audio.is_dir():
        raise UserError(f"{args.audio} is no folder; give the folder of the recordings")
    source = args.audio.resolve()
    whole = {name for line in read_lines(args.whole) for name in line.split()[:1]} if args.whole else set()
    options = {**asdict(args.options), "folder": str(source), "contents": tree_hash([source])}
    make(args, lambda out: segment_recordings(source, out, args.options, args.jobs, whole), args.whole, options=options)


@group.command(
    DATA,
    arg("out", help="folder for the data directories train, dev and test"),
    options="asrdistill.data.options.SplitOptions",
)
def split(args: Args) -> None:
    """Split a data directory into train, dev and test by whole recordings

    With fewer than ten recordings, the last utterances of each are held out.

    Example:
      asrdistill data split data/pieces data/sets --percent 10
    """
    from asrdistill.data.directory import DataDirectory
    from asrdistill.data.subset import write_splits

    data = DataDirectory.read(args.data)
    make(args, lambda out: write_splits(data, args.options.percent, out), args.data)


@group.command(
    arg("data", help="data directory or frame archive"),
    arg("out", help="data directory or archive to make"),
    options="asrdistill.data.options.SubsetOptions",
)
def subset(args: Args) -> None:
    """Take some utterances of a data directory or frame archive

    Give one of the options. A subset of an archive is a new index of the same shards.

    Example:
      asrdistill data subset data/train data/train_short --shortest 2000
    """
    from asrdistill.data.archive import FrameArchive
    from asrdistill.data.directory import DataDirectory, write_with_genders
    from asrdistill.data.subset import select, select_rows, write_rows

    if (args.data / "index.tsv").is_file():
        archive = FrameArchive(args.data)
        rows = select_rows(archive, args.options)
        make(args, lambda out: write_rows(archive, out, rows), args.data)
        return
    chosen = select(DataDirectory.read(args.data, pipes=True), args.options, args.data)
    make(args, lambda out: write_with_genders(chosen, [args.data], out), args.data)


@group.command(
    arg("data", nargs="+", help="data directories"),
    OUT,
    arg("--to", choices=("kaldi", "lhotse"), default="kaldi", help="form of OUT (default: kaldi, a data directory)"),
)
def combine(args: Args) -> None:
    """Join data directories into one, or write them as lhotse manifests

    Example:
      asrdistill data combine data/train-clean-100 data/train-clean-360 data/train_460
      asrdistill data combine data/train lhotse/train --to lhotse
    """
    from asrdistill.corpora.lhotse import write_lhotse
    from asrdistill.data.directory import DataDirectory, combine, write_with_genders

    united = combine(DataDirectory.read(data, pipes=args.to == "kaldi") for data in args.data)
    if args.to == "lhotse":
        make(args, lambda out: write_lhotse(united, out), args.data, options={"to": args.to})
        return
    make(args, lambda out: write_with_genders(united, args.data, out), args.data)


@group.command(
    arg("text", nargs="+", help="UTF-8 text files"),
    arg("out", help="text file to write"),
    arg("--language", type=str, default="en", metavar="CODE", help="ISO 639-1 code (default: %(default)s)"),
    flag("--table", "lines begin with an utterance name, which is kept (Kaldi's text)"),
)
def normalize_text(args: Args) -> None:
    """Normalise text as transcripts are: one sentence per line

    English: lower case, no punctuation, numbers spelled out. Other languages: lower-case letters, apostrophes.

    Example:
      asrdistill data normalize-text novel.txt letters.txt data/words.txt --language fr
    """
    from asrdistill.files import atomic
    from asrdistill.lang.normalize import normalize_text
    from asrdistill.reader import read_lines

    with atomic(args.out) as out:
        for line in (line for path in args.text for line in read_lines(path)):
            name, rest = [*line.split(maxsplit=1), "", ""][:2] if args.table else ("", line)
            words = normalize_text(rest, args.language)
            if name or words:
                out.write(f"{name} {words}".strip() + "\n")
