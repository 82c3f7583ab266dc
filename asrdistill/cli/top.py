"""Commands without a group."""

from asrdistill import STUDENT
from asrdistill.cli.command import JOBS, Args, Group, arg, count, flag, make
from asrdistill.errors import UserError, log
from asrdistill.export.options import FORMS, PROGRAMS
from asrdistill.runtime.options import FORMATS

group = Group("")


@group.command(
    arg("ref", help="reference: Kaldi text (utterance words …), .trn, .ctm or .stm"),
    arg("hyp", help="hypotheses, likewise"),
    arg("--against", metavar="HYP2", help="is HYP better than these? (paired bootstrap)"),
    arg("--worst", type=int, default=0, metavar="N", help="show the N utterances with most errors"),
    arg("--per-speaker", metavar="UTT2SPK", help="show each speaker's word error rate"),
    flag("--per-length", "show the word error rate by words per utterance"),
    arg("--vocabulary", metavar="FILE", help="show the errors on words that FILE lacks (first word of each line)"),
    arg("--map", metavar="FILE", help="map tokens first: a line's first token to its last; alone, it is deleted"),
    arg("--recordings", metavar="DATA", help="REF is of whole recordings of DATA, HYP of its segments"),
    arg("--sclite", metavar="OUT", help="write ref.trn, ref.stm and hyp.trn for NIST's sclite"),
    flag("--json", "print JSON"),
)
def score(args: Args) -> None:
    """Score hypotheses: word error rate with a 95 % bootstrap interval

    Errors are counted as sclite does. An utterance without a hypothesis counts as deletions.

    Example:
      asrdistill score data/test/text exp/decode/student.0/test/hyp.txt --worst 5
    """
    import json

    from asrdistill.scoring.summary import describe, summarise

    summary = summarise(
        args.ref,
        args.hyp,
        against=args.against,
        utt2spk=args.per_speaker,
        worst=args.worst,
        map=args.map,
        lengths=args.per_length,
        vocabulary=args.vocabulary,
        sclite=args.sclite,
        recordings=args.recordings,
    )
    print(json.dumps(summary, indent=1, ensure_ascii=False) if args.json else describe(summary))


@group.command(
    arg("exp", nargs="*", help="experiment folder; several for the paper's figures"),
    arg("--config", metavar="YAML", help="systems to compare, or the paper's figures"),
    arg("--data", help="data folder with texts, lang and lm; without it no words are scored"),
    arg("--lang", help="lang folder of the decoding (default: DATA/lang)"),
    arg("--lm", help="language model of the decoding (default: DATA/lm)"),
    arg("--sets", nargs="+", type=str, default=[], help="sets to measure, instead of those in CONFIG"),
    arg("--variant", type=str, default="", help="variant of the recipe, shown in the title"),
    arg("--out", help="folder to write into, or the paper's document (default: EXP)"),
    flag("--html", "write report.html too: pictures and an explorer of utterances in one file, for any browser"),
    arg("--update", nargs="+", metavar="FILE.md", help="draw the tables between the markers of these documents"),
    flag("--check", "with --update: change nothing, fail if a table is out of date"),
)
def report(args: Args) -> None:
    """Report an experiment's results: table, RESULTS.md, results.json, results.png

    CONFIG names the systems with their model folders, the sets and the comparisons. EXP/measurements.tsv gets one row
    per figure. With `paper:` in CONFIG, OUT sets the paper's figures beside ours. A table in a document stands between
    <!-- table: RESULTS.json TABLE rows=… columns=… --> and <!-- end -->.

    Example:
      asrdistill report exp --config conf/systems.yaml --data data --html
      asrdistill report --update README.md docs/results.md
    """
    from asrdistill.results.collect import Folders
    from asrdistill.results.report import run_report, update_all

    if args.update:
        update_all(args.update, args.check)
    elif not args.config or not args.exp:
        raise UserError("report needs EXP and --config YAML, or --update FILE.md")
    else:
        folders = [Folders(exp, args.data, args.lang, args.lm) for exp in args.exp]
        run_report(folders, args.config, args.variant, args.out, args.sets, args.html)


@group.command(
    arg("sweeps", nargs="+", metavar="SWEEP.yaml", help="what varies and what is measured"),
    arg("--data", required=True, help="the recipe's data folder"),
    arg("--exp", required=True, help="the recipe's experiment folder"),
    arg("--lang", help="lang folder to decode with (default: DATA/lang)"),
    arg("--lm", help="language model to decode with (default: DATA/lm)"),
    flag("--quick", "the sweeps' reduced form"),
    arg("--seeds", type=count, metavar="N", help="seeds 0 to N - 1 instead of the sweeps' own"),
    flag("--plan", "print the runs and stop"),
    JOBS,
    options="asrdistill.sweep.spec.Layout",
)
def sweep(args: Args) -> None:
    """Run sweeps over settings of a recipe: EXP/sweeps/SWEEP.json, .md and .png

    Missing subsets, teachers, soft targets, students and hypotheses are made in EXP/sweeps, --jobs at a time; sweeps
    share them. A killed sweep resumes.

    Example:
      asrdistill sweep conf/temperature.yaml --data data --exp exp
    """
    from asrdistill.sweep.plan import Plan
    from asrdistill.sweep.run import run_sweeps
    from asrdistill.sweep.spec import read_sweep

    lang, lm = args.lang or args.data / "lang", args.lm or args.data / "lm"
    sweeps = [read_sweep(path, args.quick, args.seeds) for path in args.sweeps]
    plan = Plan(args.data, args.exp, lang, lm, args.options)
    for each in sweeps:
        plan.add(each)
    if args.plan:
        print("\n".join(map(str, plan.runs.values())))
    else:
        run_sweeps(plan, sweeps, args.jobs)


@group.command(
    arg("model", help="model folder of a single network; or a finished recogniser, and then only OUT (web, vosk)"),
    arg("lang", nargs="?", help="lang folder"),
    arg("lm", nargs="?", help="language model folder"),
    arg("tuned", nargs="?", help="folder from asrdistill decode tune, whose scales are used"),
    arg("out", nargs="?", help="folder to make"),
    arg("--to", choices=[*FORMS, *PROGRAMS], default="safetensors", help="form of the network (default: %(default)s)"),
    arg("--check", metavar="DATA", help="compare with the original on a data directory with text"),
    arg("--alignment", metavar="ALIGNMENT", help="with --check: compare frame accuracy too"),
    arg("--g2p", metavar="MODEL", help="G2P model that pronounces words which are added at run time"),
    arg("--encoder", type=str, help="encoder whose frames the network takes, for example whisper:tiny.en@2"),
    JOBS,
    options="asrdistill.decode.options.DecodeOptions",
)
def export(args: Args) -> None:
    """Export a network, lexicon, language model and scales as one recogniser folder

    --to says how the network is stored; pip install asrdistill runs the first two:
    safetensors  float32
    int8         8-bit integers, a quarter of the size and faster; needs --check
    onnx         float32, for ONNX Runtime: pip install 'asrdistill[onnx]'
    onnx-int8    8-bit integers for ONNX Runtime; needs --check
    torchscript  also TorchScript, for libtorch
    kaldi        also Kaldi's nnet3, transition model and tree, as text
    web          instead a page for browsers: speak, or open a file; no sound leaves the browser
    web-int8     the same with 8-bit integers; needs --check
    vosk         instead a folder for Vosk: pip install vosk; needs kaldifst

    The exported network is compared with the original. OUT/README.md is its model card.

    Example:
      asrdistill export exp/student.0 data/lang data/lm exp/tune/student exp/small --to int8 --check data/dev
      asrdistill export exp/small exp/page --to web-int8
    """
    from dataclasses import asdict

    from asrdistill.decode.options import tuned
    from asrdistill.export.programs import convert, export_program

    if args.lang and not args.lm and args.to in PROGRAMS:
        args.out = args.lang
        make(args, lambda out: convert(args.to, args.model, out, args.out.name), args.model, options={"to": args.to})
        return
    if not args.out:
        raise UserError("export needs MODEL LANG LM TUNED OUT, or with --to web or vosk a finished recogniser and OUT")
    from asrdistill.export.folder import export

    if args.alignment and not args.check:
        raise UserError("--alignment is of the utterances of --check; give both")
    if not (args.tuned / "tuned.json").is_file():
        raise UserError(f"{args.tuned / 'tuned.json'} does not exist; run asrdistill decode tune")
    options = tuned(args.options, args.tuned)
    network = (args.to, args.model, args.lang, args.lm, options)
    checked_on = (args.check, args.alignment)
    inputs = (args.model, args.lang, args.lm, args.tuned, *checked_on, args.g2p)
    settings = {"to": args.to, "encoder": args.encoder, **asdict(options)}
    how = (args.out.name, *checked_on, args.encoder, args.jobs, args.g2p)
    work = export_program if args.to in PROGRAMS else export
    make(args, lambda out: work(*network, out, *how), inputs, options=settings)


@group.command(
    arg("recogniser", nargs="?", help="folder from asrdistill export (default: a small recogniser of English)"),
    arg("files", nargs="*", metavar="FILE", help="audio files: WAV, FLAC, MP3, Ogg, Opus …"),
    arg("--format", choices=FORMATS, default="txt", help="what is printed: see above (default: %(default)s)"),
    arg("--nbest", type=count, default=0, metavar="N", help="json: the N best word sequences of each utterance"),
    arg("--channel", type=count, metavar="N", help="take this channel, from 1 (default: all of them mixed)"),
    flag("--stream", "read 16-bit audio, raw or WAV, from standard input; print words as they become final"),
    arg("--words", metavar="FILE", help="words to add, one a line; a pronunciation may follow after a tab"),
    arg(
        "--phrases",
        metavar="FILE",
        help="phrases to favour, one a line; what is added to ln P may follow",
    ),
    arg("--grammar", metavar="FILE", help="recognise these sentences alone, one a line; [unk] is any other word"),
    arg("--spot", metavar="FILE", help="print where these keywords are said, one a line; a threshold may follow"),
    arg("--false-alarms", type=float, metavar="N", help="with --spot: print thresholds of N per hour on FILEs without"),
    arg("--rate", type=count, metavar="HZ", help="raw stream: sample rate (default: that of the features)"),
    options="asrdistill.runtime.options.EndpointOptions",
)
def transcribe(args: Args) -> None:
    """Transcribe audio files, or a stream

    Utterances end in silence, by the rules below; each is printed as it ends.

    txt   the words of a file in a line, after the file's name if there are several; of a stream a line per utterance
    json  a JSON object per utterance: start, end, text, words with times and confidences (conf)
    ctm   a line per word: file, channel, start and duration in seconds, word, confidence
    srt   subtitles (SubRip); vtt: WebVTT

    --words: `word`, or word <tab> phones; without phones the G2P model of the recogniser pronounces it (asrdistill
    export --g2p). --phrases: `phrase`, or phrase <tab> weight; the weight is added to ln P of the phrase (default: 2).
    --grammar: sentences that are said one after the other, and nothing else; [unk] is any other word.
    --spot: `keyword`, or keyword <tab> threshold; prints as --format ctm does. --false-alarms 1 prints the keywords
    with thresholds instead, at which each is found once an hour in FILEs, where nobody says them.

    Example:
      asrdistill transcribe speech.wav
      asrdistill transcribe exp/small speech.wav --format srt
      arecord -f S16_LE -r 8000 -t raw | asrdistill transcribe exp/small --stream --rate 8000
      asrdistill transcribe exp/small speech.wav --words names.txt --phrases commands.txt
    """
    from asrdistill.cli.stream import listen, spot
    from asrdistill.decode.keywords import THRESHOLD
    from asrdistill.errors import shorten
    from asrdistill.reader import read_lines
    from asrdistill.runtime.formats import rendered
    from asrdistill.runtime.recogniser import Recogniser
    from asrdistill.runtime.vocabulary import WEIGHT, read_weights, read_words

    alone = not (args.files or args.stream or (args.recogniser and args.recogniser.is_dir()))
    if args.recogniser is None or args.recogniser.is_file() or alone:
        args.files[:0] = [args.recogniser] if args.recogniser else []
        args.recogniser = STUDENT
    if args.stream == bool(args.files):
        raise UserError("give either audio files, or --stream to read standard input")
    if args.false_alarms is not None and (args.stream or not args.spot or args.false_alarms < 0):
        raise UserError(
            "--false-alarms is a number from 0 on, for --spot and audio files in which nobody says a keyword"
        )
    if args.rate is not None and not args.stream:
        raise UserError("--rate is for --stream; files have their own")
    if args.nbest and args.format != "json":
        raise UserError("--nbest is for --format json; give both")
    if args.format in ("srt", "vtt") and len(args.files) > 1:
        raise UserError(f"--format {args.format} makes the subtitles of one file, not of {len(args.files)}")
    if missing := [path for path in args.files if not path.is_file()]:
        raise UserError(f"{len(missing)} audio file(s) do not exist: {shorten(missing)}; check the paths")
    vocabulary = {
        "words": args.words and read_words(args.words),
        "phrases": args.phrases and read_weights(args.phrases, WEIGHT),
        "grammar": args.grammar and list(read_lines(args.grammar)),
    }
    recogniser = Recogniser(args.recogniser).with_vocabulary(**vocabulary)
    if args.spot:
        spot(recogniser, read_weights(args.spot, THRESHOLD), args.files, args.rate, args.false_alarms)
        return
    if args.stream:
        listen(recogniser, args.rate, args.channel, args.options, args.format, args.nbest)
    faults = []
    for path in args.files:
        found = recogniser.utterances(path, args.channel, args.options, args.format != "txt")
        name = " ".join(str(path).splitlines()) if len(args.files) > 1 or args.format != "txt" else ""
        begun = False
        try:
            for text in rendered(
                args.format, found, recogniser.frame_shift, recogniser.decoder.options, name, args.nbest
            ):
                print(text, end="", flush=True)
                begun = args.format == "txt"
        except UserError as error:
            faults.append(path)
            print(end="\n" * begun, flush=True)
            if len(args.files) == 1:
                raise
            log.error(error)
    if faults:
        raise UserError(f"{len(faults)} of {len(args.files)} files have no words: {shorten(faults)}; see above")


@group.command(
    arg(
        "recogniser", nargs="?", default=STUDENT, help="folder from asrdistill export (default: a small one of English)"
    ),
    options="asrdistill.serve.options.ServeOptions",
)
def serve(args: Args) -> None:
    """Serve a recogniser to existing clients: many streams in one process

    Without a folder it is that of English. Needs pip install 'asrdistill[serve]'. The port speaks

    /                         Vosk's WebSocket: 16-bit mono PCM; results, partial ones, config, eof
    /v1/audio/transcriptions  uploads as OpenAI's clients send them: json, verbose_json, text, srt, vtt
    /v1/models                the folder's name

    --wyoming PORT adds the Wyoming protocol of Home Assistant. SIGTERM and Ctrl-C let streams end.

    Example:
      asrdistill serve exp/small --wyoming 10300
    """
    from asrdistill.serve.server import serve

    serve(args.recogniser, args.options)


@group.command(
    arg("path", help="folder, or ARPA file"),
    arg("--phone", type=str, help="show the decision trees of this phone of a model"),
    flag("--verify", "read all of an archive, or all weights of a model, and compare checksums"),
)
def info(args: Args) -> None:
    """Show what a folder is: data, archive, model, lexicon, language model, recogniser …

    Example:
      asrdistill info exp/sat --phone AA
    """
    from asrdistill.results.info import describe, phone_trees, show

    print(phone_trees(args.path, args.phone) if args.phone else show(describe(args.path, args.verify)))
