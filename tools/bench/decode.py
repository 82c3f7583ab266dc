"""Compare the decoder with kaldi-decoder: speed, word errors, search errors and memory at several beams.

Both search the same posteriors with the same lexicon, language model, senones and scales. kaldi-decoder's
FasterDecoder (without lattices) takes a graph that asrdistill.export.hclg makes. Each runs in a process of its own, at
the recipe's beams and token limit and at multiples of them. Times are processor time of the search alone.

Search errors: words that differ from the best-scoring path either decoder found at any beam, percent. The figures at
equal WER are of each decoder's narrowest beam within 0.1 of the WER both reach at their widest.
`kaldi_decoder_rtf_at_configured_errors` interpolates what kaldi-decoder takes for as few search errors as ours at the
recipe's beams.

Example:
  python tools/bench/decode.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0 dev
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import CONF, RECIPE, alone, arguments, decode_options, finish, seconds_of, timed

from asrdistill.data import archive as archives
from asrdistill.data.archive import FrameArchive, ShardWriter
from asrdistill.decode.options import DecodeOptions
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.scoring.wer import read_transcripts, score

FEATURES = {"mono": "cepstra", "tri": "cepstra", "lda_mllt": "cepstra", "sat": "fmllr"}  # the others take fbank
WIDTHS = (0.625, 0.75, 0.8125, 0.875, 0.9375, 1.0, 1.25)  # multiples of the recipe's beams and token limit

Scored = tuple[float, list[str]]  # score, words
Search = Callable[[np.ndarray], Scored]  # of log-likelihoods (T, S)
Row = dict[str, float]


def main() -> None:
    parser = arguments(__doc__, RECIPE)
    parser.add_argument("model", help="name of a tuned model")
    parser.add_argument("set", help="dev, test or test_unseen")
    parser.add_argument("--utterances", type=int, help="only the first N (default: all)")
    parser.add_argument("--config", type=Path, default=CONF / "decode.yaml", help="beams (default: the recipe's)")
    args = parser.parse_args()
    lang, lm = args.data / "lang_probs", args.data / "lm"
    features = args.data / FEATURES.get(args.model, "fbank") / args.set
    options = decode_options(args.exp, args.model.replace("sat", "lda_mllt"), args.config)
    truth = read_transcripts(args.data / "corpus" / args.set / "text")
    with tempfile.TemporaryDirectory() as folder:
        scores, graph = Path(folder) / "scores", Path(folder) / "HCLG.fst"
        alone(write_scores, args.exp / args.model, features, args.utterances, options, scores)
        (built, arcs), graph_mb = alone(build_graph, scores, lang, lm, options, graph)
        print(f"{len(FrameArchive(scores))} utterances; kaldi-decoder's graph has {arcs} arcs", flush=True)
        beams = [options.wider(width) for width in WIDTHS]
        searches = {"": (beams, our_search, lang, lm), "kaldi_decoder_": (beams, their_search, lang, graph)}
        found = {name: alone(decode, scores, *search) for name, search in searches.items()}
        seconds = seconds_of(scores, FrameArchive(scores))
    best: dict[str, Scored] = {}
    for (results, _), _ in found.values():
        for utterance, path in (item for _, paths, _ in results for item in paths.items()):
            best[utterance] = max(best.get(utterance, path), path)
    rows: dict[str, list[Row]] = {}
    for name, ((results, _), _) in found.items():
        rows[name] = [row_of(paths, best, truth, wide, spent / seconds) for wide, paths, spent in results]
        for row in rows[name]:
            print(f"{name or 'asrdistill':<15}", *(f"{what} {value:<8g}" for what, value in row.items()))
    target = max(table[-1]["wer"] for table in rows.values()) + 0.1
    figures = {f"configured_{what}": value for what, value in rows[""][WIDTHS.index(1.0)].items()}
    for name, ((_, ready), megabytes) in found.items():
        equal = next(row for row in rows[name] if row["wer"] <= target)
        mine = equal | {"peak_mb": megabytes, "ready_seconds": ready + (built if name else 0)}
        figures |= {f"{name}{what}": value for what, value in mine.items()}
    errors = figures["configured_search_errors_percent"]
    figures["kaldi_decoder_rtf_at_configured_errors"] = rtf_for(errors, rows["kaldi_decoder_"])
    finish(figures | {"kaldi_decoder_graph_peak_mb": graph_mb})


def rtf_for(errors: float, rows: list[Row]) -> float:
    """The real-time factor at a percentage of search errors, log-linear between beams."""
    rows = sorted(rows, key=lambda row: row["search_errors_percent"])
    at = np.interp(errors, [row["search_errors_percent"] for row in rows], [np.log(row["rtf"]) for row in rows])
    return round(float(np.exp(at)), 5)


def row_of(
    paths: dict[str, Scored], best: dict[str, Scored], truth: dict[str, list[str]], wide: DecodeOptions, rtf: float
) -> Row:
    words = {utterance: found for utterance, (_, found) in paths.items()}
    reference = {utterance: found for utterance, (_, found) in best.items()}
    return {
        "beam": wide.beam,
        "word_end_beam": wide.word_end_beam,
        "max_active": wide.max_active,
        "rtf": round(rtf, 5),
        "wer": round(score({utterance: truth[utterance] for utterance in words}, words).total.percent, 2),
        "search_errors_percent": round(score(reference, words).total.percent, 2),
    }


def write_scores(model: Path, features: Path, utterances: int | None, options: DecodeOptions, out: Path) -> None:
    """Write an archive of the model's log-likelihoods."""
    from asrdistill.decode.acoustic import load_scorer

    scorer, archive = load_scorer(model, options.prior_floor), FrameArchive(features)
    out.mkdir()
    parts = {"frames": ("float32", (scorer.senones.count,))}
    writer = ShardWriter(out, 0, parts)
    for utterance in archive.utterances[:utterances]:
        writer.write(utterance, frames=scorer.loglikes(archive[utterance]))
    made_by = {"senones": scorer.senones.hash, "frame_shift": archive.meta["frame_shift"]}
    archives.finish(out, "loglikes", parts, [writer.close()], **made_by)
    scorer.senones.write(out)


def build_graph(scores: Path, lang: Path, lm: Path, options: DecodeOptions, out: Path) -> tuple[float, int]:
    """Write HCLG; returns (seconds, arcs)."""
    from asrdistill.decode.corpus import load
    from asrdistill.export import hclg

    _, decoder = load(scores, [scores], lang, lm, options, scores.with_name("graph"))
    graph, seconds = timed(lambda: hclg.compile_graph(Lang.read(lang), Senones.read(scores), decoder))
    graph.write(str(out))
    return round(seconds, 1), sum(graph.num_arcs(state) for state in range(graph.num_states))


def our_search(scores: Path, lang: Path, lm: Path) -> Callable[[DecodeOptions], Search]:
    from asrdistill.decode.corpus import load, warm_up

    _, decoder = load(scores, [scores], lang, lm, DecodeOptions(), scores.with_name("graph"))
    warm_up(decoder)

    def with_beams(wide: DecodeOptions) -> Search:
        narrow = decoder.with_options(wide)

        def search(frames: np.ndarray) -> Scored:
            found = narrow.decode(frames)
            return found.score, found.words

        return search

    return with_beams


def their_search(scores: Path, lang: Path, graph: Path) -> Callable[[DecodeOptions], Search]:
    import kaldi_decoder
    import kaldifst

    from asrdistill.export.hclg import senones_of

    words, senones = Lang.read(lang).words, senones_of(Senones.read(scores))
    fst = kaldifst.StdConstFst(kaldifst.StdVectorFst.read(str(graph)))

    def with_beams(wide: DecodeOptions) -> Search:
        settings = kaldi_decoder.FasterDecoderOptions(
            beam=wide.beam * wide.lm_weight, max_active=wide.max_active, beam_delta=0.5 * wide.lm_weight
        )

        def search(frames: np.ndarray) -> Scored:
            decoder = kaldi_decoder.FasterDecoder(fst, settings)
            decoder.decode(kaldi_decoder.DecodableCtc(frames[:, senones]))
            _, best = decoder.get_best_path()
            _, _, labels, cost = kaldifst.get_linear_symbol_sequence(best)
            return -cost.value1 - cost.value2, [words[label - 1] for label in labels]

        return search

    return with_beams


def decode(
    scores: Path, beams: list[DecodeOptions], make: Callable, *args: Path
) -> tuple[list[tuple[DecodeOptions, dict[str, Scored], float]], float]:
    """([(beams, utterance -> path, seconds)], seconds until ready), all of it processor time."""
    with_beams, ready = timed(lambda: make(scores, *args))
    archive = FrameArchive(scores)
    found = []
    for wide in beams:
        search, paths, spent = with_beams(wide), {}, 0.0
        for utterance in archive:
            frames = np.array(archive[utterance])
            start = time.process_time()
            paths[utterance] = search(frames)
            spent += time.process_time() - start
        found.append((wide, paths, spent))
    return found, round(ready, 1)


if __name__ == "__main__":
    main()
