"""Make an archive of a pretrained encoder's frames, one for each frame of FEATURES, to train, evaluate and decode with.

ENCODER is whisper:NAME, a name of faster-whisper's (pip install 'asrdistill[whisper]'), or whisper:FOLDER, a model in
CTranslate2's form; or torchaudio:PIPELINE, for wav2vec 2.0 and HuBERT. With @N behind it, it is layer N, not the
last; with +S, it hears windows of 4 s, of which a second is taken that has S seconds after it, as a recogniser that
streams will. A network that is trained on such an archive is a head on the frozen encoder: a teacher as any other.

Example:
  asrdistill encode whisper:tiny.en fbank/train data/train whisper/train
  asrdistill train whisper/train exp/ali/train exp/head --config conf/whisper_head.yaml
  asrdistill soft-targets exp/head whisper/train exp/targets/train
  asrdistill train fbank/train exp/ali/train exp/student.0 --soft-targets exp/targets/train
"""

import argparse
from pathlib import Path

from asrdistill import stage
from asrdistill.parallel import default_jobs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("encoder", help="FAMILY:MODEL[@LAYER][+SECONDS], for example whisper:tiny.en")
    parser.add_argument("features", type=Path, help="filterbanks of the same audio, whose frames these are to fit")
    parser.add_argument("data", type=Path, help="data directory of the audio")
    parser.add_argument("out", type=Path, help="archive to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where the encoder runs (default: %(default)s)",
    )
    parser.add_argument("--pipes", action="store_true", help="accept shell commands in wav.scp")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.encoders.archive import encode
    from asrdistill.encoders.factory import open_encoder
    from asrdistill.training.device import choose_device

    data = DataDirectory.read(args.data, pipes=args.pipes)
    device = choose_device(args.device).type
    encoder = open_encoder(args.encoder, device)

    def work(out: Path) -> None:
        encode(encoder, args.encoder, args.features, data, out, args.jobs, device, args.pipes)

    stage.make(args.out, work, "encode", encoder.settings, [args.features, args.data])
