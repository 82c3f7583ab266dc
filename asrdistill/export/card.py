"""Model card (README.md) of a recogniser folder."""

from pathlib import Path
from typing import Any

from asrdistill import stage
from asrdistill.decode.options import DecodeOptions
from asrdistill.export.options import FORMS
from asrdistill.features.options import options_of
from asrdistill.lang.lexicon import Lang
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import NETWORKS
from asrdistill.reader import read_json
from asrdistill.results.tables import Table
from asrdistill.runtime.frontend import ENCODER


def origin(model: Path) -> dict[str, Any]:
    """Training data and settings from a model's marker; teachers, if the soft targets still exist."""
    if not (done := stage.marker(model)):
        return {}
    keys = ("epochs", "batch", "learning_rate", "temperature", "hard_weight", "seed")
    found = {
        "data": [_short(Path(path)) for path in done["inputs"]],
        "settings": {key: done["options"][key] for key in keys if key in done["options"]},
        **{key: done["environment"][key] for key in ("commit", "date") if key in done["environment"]},
    }
    for path in map(Path, done["inputs"]):
        if (path / "meta.json").is_file() and (meta := read_json(path / "meta.json")).get("teachers"):
            found["teachers"] = [_short((path / teacher).resolve()) for teacher in meta["teachers"]]
            found["combine"] = meta["combine"]
    return found


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])  # without the machine's own folders


def card(name: str, folder: Path, meta: dict[str, Any], lexicon: Lang, options: DecodeOptions) -> str:
    """The text of README.md for the recogniser in `folder`, whose weights are written already."""
    exported, features, config = meta["export"], meta["features"], NetworkConfig(**meta["options"])
    network = NETWORKS[config.architecture]
    before = "all frames up to" if network.is_recurrent else f"{config.left} frames before"
    megabytes = sum((folder / file).stat().st_size for file in exported["weights"]) / 1e6
    between = 1000 * meta["frame_shift"] * meta.get("subsampling", 1)
    facts = {
        "form": FORMS[exported["form"]],
        "network": f"{network.summary(config)} over {before} the one it classifies and {config.right} after it",
        "outputs": f"one each {between:g} ms",
        "parameters": f"{meta['parameters']:,}",
        "weight files": f"{megabytes:.1f} MB",
        "senones": f"{exported['senones']:,} tied HMM states of {len(lexicon.phones)} phones",
        "features": _features(features, meta["frame_shift"]),
        "vocabulary": f"{len(lexicon.words):,} words",
        "decoding": f"language model weight {options.lm_weight:g}, insertion penalty {options.insertion_penalty:g}",
    }
    parts = [
        f"# {name}",
        "A speech recogniser: a frame classifier over the states of HMMs, a lexicon and an n-gram language model. "
        f"Written by `asrdistill export --to {exported['form']}` (asrdistill {exported['asrdistill']}).",
        "\n".join(f"* {what}: {value}" for what, value in facts.items()),
        f"## Training\n\n{_training(exported['origin'], meta)}",
        f"## Check\n\n{_check(exported)}",
        f"## Use\n\n{_use(name, exported['form'], meta, options)}",
        "## Licence\n\nTo be filled in by whoever passes this on: the training data's terms may bind the weights, and "
        "those of the pronouncing dictionary and of the language model's texts the other files.",
    ]
    return "\n\n".join(parts) + "\n"


def _features(features: dict[str, Any], shift: float) -> str:
    if features["type"] == "cepstra":
        normalised = "" if features["normalise"] == "none" else ", less their running mean, over `level`'s deviation,"
        cepstra = f"{features['coefficients']} cepstra (lifter {features['lifter']:g}, floor {features['floor']:g})"
        return f"{cepstra}{normalised} of {_features(features['fbank'], shift)}"
    rate = f"at {features['rate']} Hz, one each {1000 * shift:g} ms"
    if features["type"] == "whisper":
        encoder = f"({features['parameters']:,} of the parameters, `{ENCODER}`)"
        return f"the frames of Whisper's encoder after layer {features['layer']} {encoder} {rate}"
    options = options_of(features)
    return (
        f"frames of {options.bins} log-mel filterbank coefficients {rate}, of {options.frame_length:g} ms, from "
        f"{options.low:g} to {options.top:g} Hz (Kaldi: --low-freq, --high-freq), of samples in the range of 16-bit "
        f"integers (32768 times those in [-1, 1)), without dither (--dither=0), preemphasis {options.preemphasis:g}, "
        f"--snip-edges={str(options.snip_edges).lower()}; the network itself normalises them"
    )


def _training(origin: dict[str, Any], meta: dict[str, Any]) -> str:
    if not origin:
        return "The model folder has no record of its training."
    lines = [f"* made from {', '.join(f'`{path}`' for path in origin['data'])}"]
    if "teachers" in origin:
        teachers = ", ".join(f"`{teacher}`" for teacher in origin["teachers"])
        lines.append(f"* a student of {teachers}, whose distributions were averaged ({origin['combine']} mean)")
    if "teacher" in meta:
        lines.append(f"* a student of `{meta['teacher']}`, which was run on the same batches")
    settings = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in origin["settings"].items())
    lines.append(f"* {settings}; {meta['updates']:,} updates")
    if meta.get("history") and "held_out_accuracy" in (last := meta["history"][-1]):
        lines.append(f"* held-out frame accuracy after the last epoch: {last['held_out_accuracy']:.1f} %")
    lines.append(f"* asrdistill {origin.get('commit', '')}, {origin.get('date', '')}")
    return "\n".join(lines)


def _check(exported: dict[str, Any]) -> str:
    check = exported["check"]
    what = f"on {check['frames']:,} frames of `{check['data']}`" if "data" in check else "on random numbers for frames"
    rows = [
        ["largest difference of log posteriors", "", f"{check['largest_difference']:g}"],
        ["frames with the same most probable senone", "", f"{check['frame_agreement']:.2f} %"],
    ]
    for key, label, total, unit in (
        ("frame_accuracy", "frame accuracy", "aligned_frames", "aligned frames"),
        ("wer", "word error rate", "words", "words"),
    ):
        if key in check:
            figures = [f"{check[key][name]:.2f} %" for name in ("original", "exported")]
            rows.append([f"{label} ({check[total]:,} {unit})", *figures])
    text = (
        f"The exported network against the original, {what}:\n\n{Table(['', 'original', 'exported'], rows).markdown()}"
    )
    return f"{text}\n\nKaldi's text was read again and run for this check." if exported["form"] == "kaldi" else text


def _use(name: str, form: str, meta: dict[str, Any], options: DecodeOptions) -> str:
    recurrent = NETWORKS[NetworkConfig(**meta["options"]).architecture].is_recurrent
    trained = meta["features"]["type"] == "whisper" or (meta["kind"] == "dnn" and recurrent)  # run by torch
    extras = ["onnx"] * (meta["kind"] == "onnx") + ["train"] * trained
    extra = f"[{','.join(extras)}]" if extras else ""
    lines = [
        f"```sh\npip install 'asrdistill{extra}'\nasrdistill transcribe {name} speech.wav\n```",
        f'```python\nimport asrdistill\n\nwords = asrdistill.load("{name}").transcribe("speech.wav").words\n```',
    ]
    if meta["features"]["type"] == "whisper":
        return "\n\n".join(lines)
    config, features = NetworkConfig(**meta["options"]), meta["features"]
    size, command = (
        (features["coefficients"], "cepstra") if features["type"] == "cepstra" else (features["bins"], "fbank")
    )
    left, right = config.left, config.right
    shape = f"{left} + T + {right}, {size}"
    window = (
        f"the features of `asrdistill feats {command}` or Kaldi, the first frame {left} and the last {right} times more"
    )
    if meta["kind"] == "onnx":
        every = meta.get("subsampling", 1)
        answers = "to `log_posteriors` (T, senones)" + (f" of every {every}th of the T frames" if every > 1 else "")
        if NETWORKS[config.architecture].is_recurrent:
            answers = (
                f"to `log_posteriors` of {'each' if every == 1 else f'every {every}th'} frame, of which the first "
                f"{left + right}{' (given by themselves)' if every > 1 else ''} are left out, and "
                "to `remembered`: the other input, `memory`, of the frames that follow, zeros at first"
            )
        lines.append(
            f"In other programs: `model.onnx` maps `features` ({shape}), {window}, {answers}; a decoder subtracts the "
            f"logarithms of `priors.txt`, where less than {options.prior_floor:g} counts as that."
        )
    elif form == "torchscript":
        lines.append(
            f'In other programs: `torch::jit::load("model.pt")` maps (B, {shape}), {window}, to log posteriors '
            "(B, T, senones). TorchScript is code: load it only from where you trust."
        )
    elif form == "kaldi":
        lines.append(
            "In Kaldi: `make_fbank.sh --fbank-config fbank.conf`, no CMVN; prepare_lang.sh with the words of "
            "`lang/lexicon.txt` and the phone numbers of `phones.txt`; `mkgraph.sh` with `tree` and `final.mdl`; "
            f"`nnet3-latgen-faster --acoustic-scale={1 / options.lm_weight:.3g} "
            f"--frame-subsampling-factor={meta.get('subsampling', 1)} final.mdl …`."
        )
    return "\n\n".join(lines)
