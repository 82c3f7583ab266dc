"""The decoder against kaldi-decoder: speed, word errors, search errors and memory over beams.

Both search through the same posteriors with the same lexicon, language model, senones, transition probabilities and
scales; kaldi-decoder (its FasterDecoder, the one that keeps no lattice) takes a graph that tools/bench/hclg.py makes
with kaldifst. Each decoder works in a process of its own, one after the other, at the configured beams and token limit
and at multiples of them; ours also at asrdistill decode's own, and at wider ones. Times are processor time of the
search alone, memory is a process's peak.

Search errors are the words in which a result differs from the best-scoring path that either decoder found at any
beam, in percent of the words. The last line is JSON: for equal WER the figures are those of each decoder's narrowest
beam whose WER is at most 0.1 above what both reach at their widest, which a few words decide. `configured_` stands
before ours at the configured beams, `own_` at asrdistill decode's own; `kaldi_decoder_rtf_at_configured_errors` is what
kaldi-decoder takes for as few search errors, between its two beams nearest to them.

Example:
  python tools/bench/decode.py recipes/amazon_queen/data/default recipes/amazon_queen/exp/default student.0 dev
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.config import add_options, resolve
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.decode.options import DecodeOptions
from asrdistill.scoring.wer import read_transcripts, score
from asrdistill.stage import peak_mb

CONF = Path(__file__).resolve().parents[2] / "recipes/amazon_queen/conf"
FEATURES = {"mono": "cepstra", "tri": "cepstra", "lda_mllt": "cepstra", "sat": "fmllr"}  # the others take fbank
WIDER = 1.2  # multiple of asrdistill decode's own
WIDTHS = (0.625, 0.75, 0.8125, 0.875, 0.9375, 1.0, 1.25)  # multiples of the configured beams and token limit

Scored = tuple[float, list[str]]  # score, words
Search = Callable[[np.ndarray], Scored]  # of log-likelihoods (T, S)
Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the recipe's data folder")
    parser.add_argument("exp", type=Path, help="its experiment folder")
    parser.add_argument("model", help="name of a model that was tuned")
    parser.add_argument("set", help="dev, test or test_unseen")
    parser.add_argument("--utterances", type=int, help="the first so many (default: all)")
    add_options(parser, DecodeOptions)
    parser.set_defaults(config=CONF / "decode.yaml")
    args = parser.parse_args()
    lang, lm = args.data / "lang_counts", args.data / "lm"
    model, features = args.exp / args.model, args.data / FEATURES.get(args.model, "fbank") / args.set
    tuned = args.exp / "tune" / args.model.replace("sat", "lda_mllt")
    truth = read_transcripts(args.data / "corpus" / args.set / "text")
    with tempfile.TemporaryDirectory() as folder:
        scores, graph = Path(folder) / "scores", Path(folder) / "HCLG.fst"
        options, _ = alone(write_scores, model, features, args.utterances, resolve(DecodeOptions, args), tuned, scores)
        (built, arcs), graph_mb = alone(build_graph, scores, lang, lm, options, graph)
        print(f"{len(FrameArchive(scores))} utterances; kaldi-decoder's graph has {arcs} arcs", flush=True)
        beams = [options.wider(width) for width in WIDTHS]
        plain = DecodeOptions()
        own = replace(options, beam=plain.beam, word_end_beam=plain.word_end_beam, max_active=plain.max_active)
        searches = {
            "": ([*beams, own, own.wider(WIDER)], our_search, lang, lm),
            "kaldi_decoder_": (beams, their_search, lang, graph),
        }
        found = {name: alone(decode, scores, *search) for name, search in searches.items()}
        seconds = FrameArchive(scores).total_rows * FrameArchive(scores).meta["frame_shift"]
    best: dict[str, Scored] = {}
    for (results, _), _ in found.values():
        for utterance, path in (item for _, paths, _ in results for item in paths.items()):
            best[utterance] = max(best.get(utterance, path), path)
    rows: dict[str, list[Row]] = {}
    for name, ((results, _), _) in found.items():
        rows[name] = [figures(paths, best, truth, wide, spent / seconds) for wide, paths, spent in results]
        for row in rows[name]:
            print(f"{name or 'asrdistill':<15}", *(f"{what} {value:<8g}" for what, value in row.items()))
    target = max(table[len(WIDTHS) - 1]["wer"] for table in rows.values()) + 0.1
    result: dict[str, float] = {}
    for name, place in (("configured", WIDTHS.index(1.0)), ("own", len(WIDTHS))):
        result |= {f"{name}_{what}": value for what, value in rows[""][place].items()}
    for name, ((_, ready), megabytes) in found.items():
        equal = next(row for row in rows[name] if row["wer"] <= target)
        mine = equal | {"peak_mb": megabytes, "ready_seconds": ready + (built if name else 0)}
        result |= {f"{name}{what}": value for what, value in mine.items()}
    result["kaldi_decoder_rtf_at_configured_errors"] = rtf_for(
        result["configured_search_errors_percent"], rows["kaldi_decoder_"]
    )
    print(json.dumps(result | {"kaldi_decoder_graph_peak_mb": graph_mb}))


def rtf_for(errors: float, rows: list[Row]) -> float:
    """The real-time factor at which a decoder makes so many search errors: its logarithm is linear between beams."""
    rows = sorted(rows, key=lambda row: row["search_errors_percent"])
    at = np.interp(errors, [row["search_errors_percent"] for row in rows], [np.log(row["rtf"]) for row in rows])
    return round(float(np.exp(at)), 5)


def figures(
    paths: dict[str, Scored], best: dict[str, Scored], truth: dict[str, list[str]], wide: DecodeOptions, rtf: float
) -> Row:
    """A row of the table."""
    words = {utterance: said for utterance, (_, said) in paths.items()}
    reference = {utterance: said for utterance, (_, said) in best.items()}
    return {
        "beam": wide.beam,
        "word_end_beam": wide.word_end_beam,
        "max_active": wide.max_active,
        "rtf": round(rtf, 5),
        "wer": round(score({utterance: truth[utterance] for utterance in words}, words).total.percent, 2),
        "search_errors_percent": round(score(reference, words).total.percent, 2),
    }


def alone(work: Callable[..., Any], *args: Any) -> tuple[Any, int]:
    """What `work` returns in a process of its own, and that process's peak memory in MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), parallel.single_thread) as process:
        return process.submit(work, *args).result(), process.submit(peak_mb).result()


def write_scores(
    model: Path, features: Path, utterances: int | None, options: DecodeOptions, tuned: Path, out: Path
) -> DecodeOptions:
    """Write the model's log-likelihoods of the first utterances; returns the options with the tuned scales."""
    from asrdistill.decode.acoustic import load_scorer
    from asrdistill.decode.tuning import tuned as with_scales

    scorer, archive = load_scorer(model, options.prior_floor), FrameArchive(features)
    out.mkdir()
    parts = {"frames": ("float32", (scorer.senones.count,))}
    writer = ShardWriter(out, 0, parts)
    for utterance in archive.utterances[:utterances]:
        writer.write(utterance, frames=scorer.loglikes(archive[utterance]))
    made_by = {"senones": scorer.senones.hash, "frame_shift": archive.meta["frame_shift"]}
    finish(out, "loglikes", parts, [writer.close()], **made_by)
    scorer.senones.write(out)
    return with_scales(options, tuned)


def build_graph(scores: Path, lang: Path, lm: Path, options: DecodeOptions, out: Path) -> tuple[float, int]:
    """Write HCLG; returns the seconds that it took and the number of arcs."""
    import hclg

    from asrdistill.decode.corpus import load
    from asrdistill.hmm.senones import Senones
    from asrdistill.lang.lexicon import Lang

    _, decoder = load(scores, [scores], lang, lm, options, scores.with_name("graph"))
    start = time.process_time()
    graph = hclg.compile_graph(Lang.read(lang), Senones.read(scores), decoder)
    graph.write(str(out))
    arcs = sum(graph.num_arcs(state) for state in range(graph.num_states))
    return round(time.process_time() - start, 1), arcs


def our_search(scores: Path, lang: Path, lm: Path) -> Callable[[DecodeOptions], Search]:
    """The decoder's search with some beams."""
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
    """kaldi-decoder's."""
    import kaldi_decoder
    import kaldifst

    from asrdistill.lang.lexicon import Lang

    words = Lang.read(lang).words
    fst = kaldifst.StdConstFst(kaldifst.StdVectorFst.read(str(graph)))

    def with_beams(wide: DecodeOptions) -> Search:
        settings = kaldi_decoder.FasterDecoderOptions(
            beam=wide.beam * wide.lm_weight, max_active=wide.max_active, beam_delta=0.5 * wide.lm_weight
        )

        def search(frames: np.ndarray) -> Scored:
            decoder = kaldi_decoder.FasterDecoder(fst, settings)
            decoder.decode(kaldi_decoder.DecodableCtc(frames))
            _, best = decoder.get_best_path()
            _, _, labels, cost = kaldifst.get_linear_symbol_sequence(best)
            return -cost.value1 - cost.value2, [words[label - 1] for label in labels]

        return search

    return with_beams


def decode(
    scores: Path, beams: list[DecodeOptions], make: Callable, *args: Any
) -> tuple[list[tuple[DecodeOptions, dict[str, Scored], float]], float]:
    """((beams, utterance -> path, seconds) of all beams, seconds until ready), all of it processor time."""
    start = time.process_time()
    with_beams = make(scores, *args)
    ready = round(time.process_time() - start, 1)
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
    return found, ready


if __name__ == "__main__":
    main()
