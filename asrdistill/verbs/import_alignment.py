"""Make an alignment of what another system aligned, to train on as on our own.

ctm       SOURCE is a CTM of phones; a words.ctm beside it gives the words
textgrid  SOURCE is a folder of UTTERANCE.TextGrid, such as MFA writes, with a tier named phones
phn       SOURCE is a folder of UTTERANCE.PHN, or SPEAKER/SENTENCE.PHN as TIMIT has them
kaldi     SOURCE is a folder with ali.*.gz, or an ark or scp, of transition-ids; --model is final.mdl
          in text form (gmm-copy --binary=false), --tree the tree in text form (copy-tree
          --binary=false) where pdfs depend on the context, LANG Kaldi's data/lang. With a folder
          that holds senones.json as --model, SOURCE is what export-alignment kaldi wrote.

Of ctm, textgrid and phn only the phones' times are known. A phone's three states (five of silence)
share its frames evenly; gaps, "", sil, sp and spn are silence. Phones must be those of LANG.

Example:
  asrdistill import-alignment textgrid mfa/train data/train/fbank lang exp/ali/train --strip-stress true
  asrdistill import-alignment kaldi kaldi/exp/tri3_ali data/train/fbank kaldi/data/lang exp/ali/train \\
      --model final.txt --tree tree.txt
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.files import hash_of, sha256
from asrdistill.hmm.formats.options import FORMATS, ImportOptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=FORMATS, help="format of SOURCE")
    parser.add_argument("source", type=Path, help="file or folder with the alignment")
    parser.add_argument("features", type=Path, help="feature archive that the alignment is for")
    parser.add_argument("lang", type=Path, help="lang folder; for kaldi, any folder with its phones.txt")
    parser.add_argument("out", type=Path, help="alignment to make")
    parser.add_argument("--model", type=Path, help="kaldi: final.mdl in text form, or a folder with senones.json")
    parser.add_argument("--tree", type=Path, help="kaldi: the tree in text form")
    add_options(parser, ImportOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.errors import UserError
    from asrdistill.hmm.formats.imports import import_kaldi, import_times
    from asrdistill.lang.lexicon import Lang

    options = resolve(ImportOptions, args)
    features = FrameArchive(args.features, "features")
    given = [path for path in (args.model, args.tree) if path]
    if args.format == "kaldi":
        if not args.model:
            raise UserError("Kaldi's alignments are numbers that its model explains: give final.mdl with --model")
        make(
            args.out,
            lambda folder: import_kaldi(args.source, features, args.lang, args.model, args.tree, options, folder),
            verb="import-alignment",
            options={"format": args.format, **options.__dict__, "contents": _contents(args.source)},
            inputs=[args.source, args.features, args.lang, *given],
        )
        return
    if given:
        raise UserError(f"--model and --tree are for kaldi, not for {args.format}")
    if args.format == "phn" and options.rate < 1:
        raise UserError("PHN files hold times in samples: give the audio's samples per second with --rate")
    lang = Lang.read(args.lang)
    make(
        args.out,
        lambda folder: import_times(args.format, args.source, features, lang, options, folder),
        verb="import-alignment",
        options={"format": args.format, **options.__dict__, "contents": _contents(args.source)},
        inputs=[args.source, args.features, args.lang],
    )


def _contents(source: Path) -> str:
    """Hash of the files that are read in the folders of the source, or beside it."""
    if source.is_dir():
        paths = [path for path in source.rglob("*") if path.suffix.lower() in (".textgrid", ".phn", ".wrd")]
    else:
        paths = [path for name in ("words.ctm", "phones.ark") if (path := source.with_name(name)).is_file()]
    return hash_of({str(path.relative_to(source.parent)): sha256(path) for path in paths})
