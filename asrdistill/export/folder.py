"""Make a recogniser folder, everything that turns audio into words; docs/formats.md lists its files."""

import logging
import shutil
from dataclasses import asdict
from pathlib import Path

from asrdistill import __version__, stage
from asrdistill.data.directory import DataDirectory
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.errors import UserError
from asrdistill.export.card import card, origin
from asrdistill.export.check import check, features_of
from asrdistill.export.encoder import copy_encoder
from asrdistill.export.forms import write_form
from asrdistill.export.options import INT8, kind_of
from asrdistill.files import sha256, write_json, write_text
from asrdistill.lang.g2p import FILES, G2P
from asrdistill.lang.lexicon import Lang, root_of
from asrdistill.models.folder import FORMAT, hash_of_meta, read_meta
from asrdistill.models.io import load_network
from asrdistill.runtime.frontend import frontend_of
from asrdistill.runtime.recogniser import graph_of

log = logging.getLogger("asrdistill")

CALIBRATION = 30_000  # frames whose activations set the scales of int8: five minutes


def export(
    form: str,
    model: Path,
    lang: Path,
    lm: Path,
    options: DecodeOptions,
    out: Path,
    name: str,
    data: Path | None = None,
    alignment: Path | None = None,
    encoder: str | None = None,
    jobs: int = 1,
    g2p: Path | None = None,
) -> None:
    """Write a recogniser that searches with these options into the existing folder `out`, which its card calls `name`.

    The network is compared with the original on the audio of `data`. `encoder` names that of its frames, if any; `g2p`
    is a model that pronounces words which are added later.
    Raises UserError for an ensemble or a GMM, for what does not fit together, and if the export is not the original.
    """
    network, lexicon, audio = load_network(model), Lang.read(lang), DataDirectory.read(data) if data else None
    if missing := set(lexicon.phones) - set(network.senones.phones):
        raise UserError(f"{model} has no senones of the phone {min(missing)} of {lang}; give its own lang folder")
    if form in ("torchscript", "kaldi") and encoder:
        raise UserError(f"a network on an encoder's frames has no form '{form}'; give safetensors, onnx or int8")
    if form in INT8 and audio is None:
        raise UserError(f"{form} takes its scales from real frames; give a data directory with --check")
    stage.empty(out)  # all files are hashed, so none may be of an interrupted run
    for source in (model / "senones.json", lm / "lm.arpa"):
        if not source.is_file():
            raise UserError(f"{source} does not exist; run the stage that makes it")
        shutil.copyfile(source, out / source.name)
    write_json(out / "tuned.json", asdict(options))
    (out / "lang").mkdir()
    lexicon.write(out / "lang")
    if g2p:
        spoken = {phone for _, phones in G2P.read(g2p).graphones for phone in phones}
        if missing := spoken - set(map(root_of, network.senones.phones)):
            raise UserError(f"{model} has no senones of the phone {min(missing)} of {g2p}; give one of its phones")
        (out / "g2p").mkdir()
        for part in FILES:
            shutil.copyfile(g2p / part, out / "g2p" / part)
    features = network.meta["features"]
    encoders = copy_encoder(encoder, features, model, out)
    frames = features_of(audio, frontend_of(network.meta, out), CALIBRATION) if audio else iter(())
    weights = [*write_form(form, model, network, frames, out, options.prior_floor), *encoders]
    files = sorted(path for path in (*out.iterdir(), *out.glob("lang/*"), *out.glob("g2p/*")) if path.name[0] != ".")
    kind = kind_of(form)
    exported = {"format": FORMAT, "form": form, "asrdistill": __version__, "origin": origin(model)}
    exported["senones"] = network.senones.count
    exported["weights"] = weights
    exported["sha256"] = {str(file.relative_to(out)): sha256(file) for file in files if file.is_file()}
    meta = {**network.meta, "kind": kind, "export": exported}
    write_json(out / "meta.json", meta)
    decoder = Decoder.of(graph_of(out, network.senones), options)
    named = {"data": data.name} if data else {}
    exported["check"] = named | check(form, model, out, decoder, audio, alignment, jobs)
    log.info("check: %s", exported["check"])
    write_json(out / "meta.json", meta)
    exported["meta"] = hash_of_meta(read_meta(out))
    write_json(out / "meta.json", meta)
    write_text(out / "README.md", card(name, out, meta, lexicon, decoder.options))
