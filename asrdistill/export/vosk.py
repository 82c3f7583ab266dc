"""A recogniser as a folder that Vosk 0.3.45 and later load: Kaldi's chain models with a static graph.

    am/final.mdl                   HMMs and network, binary
    conf/fbank.conf, model.conf    filterbanks; scales, beams and endpoints
    graph/HCLG.fst, words.txt      search graph; its words
    graph/phones/word_boundary.int which phones begin and end words, for their times

All costs are in units of ln P(words), as the beams and confidences are. Vosk multiplies those of the graph by
GRAPH_WEIGHT before it chooses the words of a lattice, so they are divided by it here.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from asrdistill.decode.acoustic import PosteriorScorer
from asrdistill.errors import UserError
from asrdistill.export.kaldi import Node, Writer, fbank_conf, fixed_affine, fixed_scale, no_op, write_model
from asrdistill.files import atomic, write_text
from asrdistill.hmm.senones import Senones, Tree, side_of
from asrdistill.lang.lexicon import EPSILON, POSITIONS
from asrdistill.models.native import NETWORKS, NativeModel
from asrdistill.runtime.frontend import native_features
from asrdistill.runtime.options import PAUSE, EndpointOptions
from asrdistill.runtime.recogniser import Recogniser

GRAPH_WEIGHT = 0.9
LATTICE_BEAM = 6.0  # in ln P(words)
MEAN_FRAMES = 170  # of a recurrent mean: in its first 5 s that over training counts for as much as in ours, within 0.1
FLOOR = math.log(np.finfo(np.float32).eps)  # of log energies in Kaldi
KINDS = dict(zip(POSITIONS, ("begin", "internal", "end", "singleton"), strict=True))


def check_vosk(meta: dict[str, Any], model: Path) -> None:
    """Raise UserError for a network that nnet3 cannot hold, and where kaldifst is missing."""
    network, features = meta.get("options", {}).get("architecture", "dnn"), meta.get("features", {})
    if meta["kind"] != "dnn" or network not in NETWORKS or features["type"] == "whisper":
        wanted = f"a float32 network ({', '.join(NETWORKS)}) on fbank or cepstra"
        raise UserError(f"{model} is nothing that Kaldi's nnet3 can hold; give {wanted}")
    if features.get("floor", FLOOR) > FLOOR:
        raise UserError(
            f"{model} has a floor of log energies of {features['floor']:g}, Kaldi {FLOOR:.4g}; train without"
        )
    try:
        import kaldifst  # noqa: F401
    except ModuleNotFoundError:
        raise UserError("--to vosk needs kaldifst, which is not installed; pip install kaldifst") from None


def write_vosk(recogniser: Recogniser, out: Path, name: str) -> None:
    """Write the folder; raises UserError for units of CTC models and for word pieces."""
    from asrdistill.export.hclg import compile_graph

    decoder, scorer = recogniser.decoder, cast(PosteriorScorer, recogniser.scorer)
    lang, senones, weight = recogniser.lang, positioned(scorer.senones), decoder.options.lm_weight
    if senones.ctc or lang.pieces:
        raise UserError(f"{name} has {'units of a CTC model' if senones.ctc else 'word pieces'}; give a model of words")
    lang = lang if lang.phones[1:] and lang.phones[1][-2:] in POSITIONS else lang.positioned()
    for folder in ("am", "conf", "graph/phones"):
        (out / folder).mkdir(parents=True)
    compile_graph(lang, senones, decoder, 1 / (GRAPH_WEIGHT * weight)).write(str(out / "graph/HCLG.fst"))
    words = "".join(f"{word} {number}\n" for number, word in enumerate([EPSILON, *lang.words]))
    write_text(out / "graph/words.txt", words)
    kinds = (f"{number} {KINDS.get(phone[-2:], 'nonword')}\n" for number, phone in enumerate(senones.phones, 1))
    write_text(out / "graph/phones/word_boundary.int", "".join(kinds))
    front = _front(scorer, out)
    with atomic(out / "am/final.mdl", "wb") as file:
        write_model(Writer(file, binary=True), scorer.model, senones, decoder.options.prior_floor, front)
    rules = EndpointOptions()
    settings = {
        "frame-subsampling-factor": senones.subsampling,
        "acoustic-scale": f"{1 / weight:.9g}",
        "beam": decoder.options.beam,
        "max-active": decoder.options.max_active,
        "lattice-beam": decoder.options.lattice_beam or LATTICE_BEAM,
        "endpoint.silence-phones": 1,
        "endpoint.rule1.min-trailing-silence": rules.nothing,
        "endpoint.rule2.min-trailing-silence": rules.silence,
        "endpoint.rule2.max-relative-cost": rules.little,
        "endpoint.rule3.min-trailing-silence": rules.longer_silence,
        "endpoint.rule3.max-relative-cost": rules.more,
        "endpoint.rule4.min-trailing-silence": rules.longest_silence,
        "endpoint.rule5.min-trailing-silence": PAUSE,
        "endpoint.rule5.min-utterance-length": rules.longest,
    }
    write_text(out / "conf/model.conf", "".join(f"--{key}={value}\n" for key, value in settings.items()))


def positioned(senones: Senones) -> Senones:
    """The same senones of position-dependent phones."""
    silence, *phones = senones.phones
    if all(phone[-2:] in POSITIONS for phone in phones):
        return senones
    forms = {silence: [silence], **{phone: [phone + position for position in POSITIONS] for phone in phones}}

    def renamed(tree: Tree) -> Tree:
        if not isinstance(tree, dict):
            return tree
        asked = " ".join(form for phone in tree[side_of(tree)].split() for form in forms[phone])
        return {side_of(tree): asked, "yes": renamed(tree["yes"]), "no": renamed(tree["no"])}

    states = {root: [renamed(tree) for tree in trees] for root, trees in senones.states.items()}
    return replace(senones, phones=[form for each in forms.values() for form in each], states=states)


def _front(scorer: PosteriorScorer, out: Path) -> list[Node]:
    """Kaldi's filterbanks to what the network takes; writes their settings.

    A running mean becomes a recurrent one, in which frames count the less the longer ago they are: Vosk's own mean does
    not run. It begins with that over training.
    """
    model = cast(NativeModel, scorer.model)
    options, features = native_features(scorer.meta, out)
    write_text(out / "conf/fbank.conf", fbank_conf(options))
    scale, bias = 1 / model.std.astype(np.float64), -model.mean.astype(np.float64) / model.std
    if not features.cepstra:
        return [Node("normalise", "input", fixed_affine(np.diag(scale), bias))]
    dct = features.kept["dct"].astype(np.float64).T
    if "mean" not in features.kept:
        return [Node("normalise", "input", fixed_affine(scale[:, None] * dct, bias))]
    new, scale = 1 / MEAN_FRAMES, np.diag(scale / features.kept["deviation"])
    return [
        Node("cepstra", "input", fixed_affine(dct, -features.kept["mean"])),
        Node("new", "cepstra", fixed_scale(np.full(len(dct), new))),
        Node("mean", "Sum(new, IfDefined(Offset(old, -1)))", no_op(len(dct))),
        Node("old", "mean", fixed_scale(np.full(len(dct), 1 - new))),
        Node("normalise", "Append(cepstra, mean)", fixed_affine(np.hstack([scale, -scale]), bias)),
    ]
