"""Word error rate of hypotheses, with a 95 % bootstrap interval; counts are sclite's.

REF and HYP are Kaldi text (utterance words …), or end in .trn or .ctm. An utterance without a
hypothesis counts as deleted words. --against says whether HYP is better than another system's
hypotheses of the same utterances (paired bootstrap). --map folds tokens before they are scored, as
phones are: a line has a token's names in ever smaller sets, the last of which counts; alone, the
token is deleted. --vocabulary counts the errors on the words alone that it lacks (the first word of
each line: a lang folder's words.txt, a lexicon, a list). With --recordings, HYP is of the segments of a data directory
and REF of (some of) its recordings, whose segments' words are joined.

Example:
  asrdistill score data/test/text exp/decode/student.0/test/hyp.txt --worst 5 \\
      --against exp/decode/teacher.0/test/hyp.txt
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ref", type=Path, help="what was said")
    parser.add_argument("hyp", type=Path, help="what was recognised")
    parser.add_argument("--against", type=Path, metavar="HYP2", help="another system to compare HYP with")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="show the N utterances with most errors")
    parser.add_argument("--per-speaker", type=Path, metavar="UTT2SPK", help="show each speaker's word error rate")
    parser.add_argument("--per-length", action="store_true", help="show the word error rate by words of an utterance")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="show the errors on words that FILE lacks")
    parser.add_argument("--sclite", type=Path, metavar="OUT", help="write ref.trn, ref.stm, hyp.trn for NIST's sclite")
    parser.add_argument("--map", type=Path, metavar="FILE", help="fold the tokens of all files by this map first")
    parser.add_argument("--recordings", type=Path, metavar="DATA", help="REF has the words of whole recordings of DATA")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> None:
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
