"""``asrdistill feats``: archives with one feature vector per frame."""

from asrdistill.cli.command import COMPUTE, DATA, JOBS, LEFT_OUT, PIPES, Args, Group, arg, make

group = Group("feats")
OUT = arg("out", help="feature archive to make")


def _factors(name: str, default: list[float], help: str) -> tuple:
    return arg(name, type=float, nargs="+", default=default, metavar="X", help=help)


@group.command(
    DATA,
    OUT,
    _factors("--warps", [1.0], "one copy per factor that stretches the frequency axis (default: 1, the original)"),
    _factors("--speeds", [], "one copy per speed factor, resampled"),
    _factors("--volumes", [], "one copy per gain factor"),
    arg("--snr", type=float, nargs=2, metavar=("LOW", "HIGH"), help="one copy with noise at LOW to HIGH dB SNR"),
    arg("--noise", metavar="DATA", help="data directory the noise is cut from (default: babble from DATA)"),
    arg("--seed", type=int, default=0, metavar="N", help="seed of the noise (default: %(default)s)"),
    PIPES,
    LEFT_OUT,
    JOBS,
    options="asrdistill.features.options.FbankOptions",
    sets="data out",
)
def fbank(args: Args) -> None:
    """Compute log-mel filterbanks (Kaldi's fbank) of a data directory

    Example:
      asrdistill feats fbank data fbank --sets train dev --bins 40
    """
    from dataclasses import asdict

    from asrdistill.data.directory import DataDirectory
    from asrdistill.features.extract import make_fbank
    from asrdistill.features.perturb import Perturbations

    data, noise = (path and DataDirectory.read(path, pipes=args.pipes) for path in (args.data, args.noise))
    copies = Perturbations(args.warps, args.speeds, args.volumes, args.snr, noise, args.seed, args.pipes)
    work = (args.options, args.jobs, copies)
    options = {**asdict(args.options), **copies.describe()}
    make(args, lambda out: make_fbank(data, out, *work), args.data, args.noise, options=options)


@group.command(
    arg("fbank", help="archive from asrdistill feats fbank"),
    DATA,
    OUT,
    LEFT_OUT,
    JOBS,
    options="asrdistill.features.cepstra.CepstraOptions",
    sets="fbank data out",
)
def cepstra(args: Args) -> None:
    """Compute cepstra with per-speaker mean and variance normalisation from filterbanks

    Example:
      asrdistill feats cepstra fbank data cepstra --sets train dev
    """
    from asrdistill.data.directory import read_speakers
    from asrdistill.features.cepstra import make_cepstra

    speakers = read_speakers(args.data)
    work = (args.options, args.jobs)
    make(args, lambda out: make_cepstra(args.fbank, speakers, out, *work), args.fbank, args.data)


@group.command(
    arg("model", help="GMM folder"),
    arg("features", help="archive of the features that the GMM was trained on"),
    arg("alignment", help="alignment of the utterances, by any model of these phones"),
    DATA,
    OUT,
    LEFT_OUT,
    JOBS,
    options="asrdistill.hmm.options.FmllrOptions",
    sets="features alignment data out",
)
def fmllr(args: Args) -> None:
    """Adapt features to their speakers by one linear transform each (fMLLR)

    For speaker-adaptive training, run asrdistill gmm tri on the result.

    Example:
      asrdistill feats fmllr exp/lda cepstra exp/ali data fmllr --sets train dev
    """
    from asrdistill.data.directory import read_speakers
    from asrdistill.hmm.fmllr import adapt, check

    inputs = (args.model, args.features, args.alignment)
    check(*inputs)
    speakers = read_speakers(args.data)
    make(args, lambda out: adapt(*inputs, speakers, out, args.options, args.jobs), inputs, args.data)


@group.command(
    arg("encoder", type=str, help="FAMILY:MODEL[@LAYER][+SECONDS], for example whisper:tiny.en@2+0.5"),
    arg("fbank", help="filterbanks of the same audio, which give the frame times"),
    DATA,
    OUT,
    COMPUTE[0],
    PIPES,
    LEFT_OUT,
    JOBS,
    sets="fbank data out",
)
def encode(args: Args) -> None:
    """Compute frames of a pretrained encoder, one per frame of FBANK

    ENCODER is whisper:NAME (faster-whisper's names; pip install 'asrdistill[whisper]'), whisper:FOLDER (CTranslate2's
    form) or torchaudio:PIPELINE (wav2vec 2.0, HuBERT). @N takes layer N instead of the last. +S encodes windows of 4 s
    with S seconds of right context, as a streaming recogniser does. A network trained on OUT is a head on the frozen
    encoder.

    Example:
      asrdistill feats encode whisper:tiny.en fbank data whisper --sets train dev
    """
    from asrdistill.data.directory import DataDirectory
    from asrdistill.encoders.archive import encode
    from asrdistill.encoders.factory import open_encoder
    from asrdistill.models.device import choose_device

    data = DataDirectory.read(args.data, pipes=args.pipes)
    device = str(choose_device(args.device))
    encoder = open_encoder(args.encoder, device)
    what, how = (encoder, args.encoder, args.fbank, data), (args.jobs, device, args.pipes)
    make(args, lambda out: encode(*what, out, *how), args.fbank, args.data, options=encoder.settings)


@group.command(
    arg("features", nargs="+", help="feature archives with the same frames"), OUT, LEFT_OUT, sets="features out"
)
def paste(args: Args) -> None:
    """Put feature archives side by side, for an ensemble whose members take different features

    OUT only refers to the archives.

    Example:
      asrdistill feats paste fbank whisper both --sets dev test
    """
    from asrdistill.features.paste import paste

    make(args, lambda out: paste(args.features, out), args.features)
