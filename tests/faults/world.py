"""A small folder with a file of every format that the project reads, each made by the project's own commands."""

import contextlib
import io
import os
from pathlib import Path

import soundfile
import torch
import yaml

from asrdistill.cli import main
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_network
from asrdistill.training.loop import _State
from tests.export.test_recogniser import LANG, RATE, TEXTS, plant, say

COMMANDS = """
gmm mono fbank data lang mono --iterations 2 --gaussians 30 --jobs 1
ali make mono fbank data lang ali --jobs 1
nnet train fbank ali net --config train.yaml --epochs 1
nnet ensemble net model ensemble
distill targets model fbank targets --keep 4 --temperatures 1 2 --jobs 1
distill cluster-senones model fbank sets --clusters 2 --size 4 --jobs 1
feats cepstra fbank data cepstra --jobs 1
data subset fbank fbank_some --utterances 2
decode run model fbank lang lm decoded --tuned tuned --lattice-beam 8 --jobs 1
nnet evaluate model fbank ali frames --jobs 1
lang g2p dictionary.txt g2p --order 2
convert alignment --to textgrid ali textgrids
convert alignment --to phn ali phns --rate 8000
convert alignment --to kaldi ali kaldi_ali
convert feats fbank kaldi/feats.ark
export model lang lm tuned recogniser
export model lang lm tuned recogniser_kaldi --to kaldi
export model lang lm tuned recogniser_onnx --to onnx
"""
TRAIN = {"layers": 1, "width": 16, "left": 1, "right": 1, "batch": 64, "threads": 1, "learning_rate": 0.001}
SWEEP = {
    "title": "Temperatures",
    "vary": {"temperature": [1, 2]},
    "rows": {"student": {"hard_weight": 0.5}, "small": {"width": 8}},
}
PLAN = {"corpus": "tones", "sets": ["dev"], "pooled": ["dev"], "systems": {"single": {"models": ["net"], "what": "x"}}}
PAPER = {"paper": [{"title": "T", "rows": [{"what": "x", "paper": 1.0, "ours": ["results.json", "a", "wer"]}]}]}
CUT = (
    '{"id": "c1", "start": 0.1, "duration": 0.5, "channel": 0, "type": "MonoCut", "supervisions": [{"id": "s1", '
    '"recording_id": "u1", "start": 0.0, "duration": 0.4, "channel": 0, "text": "low", "speaker": "a"}], "recording": '
    '{"id": "u1", "sources": [{"type": "file", "channels": [0], "source": "u1.wav"}], "sampling_rate": 8000, '
    '"num_samples": 9600, "duration": 1.2, "channel_ids": [0]}}'
)
HAND_MADE = {
    "dictionary.txt": "low L\nhigh H\nlowly L H\nhighly H L H\nhow 0.5 H L\nhow 0.25 H\nhollow H L L\n",
    "train.yaml": yaml.safe_dump(TRAIN),
    "sweep.yaml": yaml.safe_dump(SWEEP),
    "plan.yaml": yaml.safe_dump(PLAN),
    "paper.yaml": yaml.safe_dump(PAPER),
    "tuned/tuned.json": '{"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0}',
    "calibration/calibration.json": '{"slope": 1.5, "offset": -0.25}',
    "hyp.trn": "low high (u1)\nhigh high (u2)\nlow (u3)\nhigh low low (u4)\n",
    "ref.stm": ";; x\nu1 1 a 0.0 1.5 <o> low high\nu2 1 a 0.0 1.5 <o> high high low\n",
    "hyp.ctm": "u1 1 0.1 0.2 low 0.9\nu1 1 0.4 0.2 high 0.8\nu2 1 0.1 0.2 high\nu2 1 0.4 0.2 low\n",
    "lm.txt": "low high\nhigh high low\nlow\n<s> high low </s>\n",
    "phones.map": "aa a a\nb b\nq\n",
    "labels/pseudo_labels.tsv": "utterance\tlogprob\tno_speech\tcompression\ttext\nu1\t-0.1\t0.01\t1.1\tlow high\n",
    "table.csv": 'path,text,speaker\nu1.wav,"low, ""high""",a\nu2.wav,"high\nlow",a\nu3.wav,low,b\n',
    "table.jsonl": '{"audio_filepath": "u1.wav", "text": "low", "duration": 1.0}\n',
    "cuts.jsonl": CUT + "\n",
    "cut/segments": "s1 u1 0.0 0.7\ns2 u1 0.5 1.2\ns3 u2 0.1 1.0\n",
    "cut/wav.scp": "u1 ../u1.wav\nu2 ../u2.wav\n",
    "cut/text": "s1 low\ns2 high\ns3 high high\n",
    "cut/utt2spk": "s1 a\ns2 a\ns3 b\n",
    "cut/spk2utt": "a s1 s2\nb s3\n",
    "cut/utt2dur": "s1 0.7\ns2 0.7\ns3 0.9\n",
}


def make_world(folder: Path) -> Path:
    """Make the files; a command that fails ends with an assertion that has its message."""
    folder.mkdir(parents=True)
    plant(folder, Senones.monophones(LANG))
    for name, text in HAND_MADE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for suffix in ("flac", "ogg", "mp3"):
        soundfile.write(folder / f"u1.{suffix}", say(TEXTS["u1"]), RATE)
    for line in COMMANDS.strip().splitlines():
        run(folder, line)
    with contextlib.suppress(ImportError):
        from tests.encoders.conftest import write_whisper

        (folder / "whisper").mkdir()
        write_whisper(folder / "whisper", None)
    module = load_network(folder / "net").module
    optimiser = torch.optim.AdamW(module.parameters(), 0.001, fused=True)
    module.train()(torch.zeros(4, 3, 20)).sum().backward()
    optimiser.step()
    state = _State(module, optimiser, torch.device("cpu"), folder / "checkpoint.safetensors")
    state.finish_epoch({"held_out_accuracy": 50.0})
    return folder


def run(folder: Path, line: str) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()):
            status = main(line.split())
    finally:
        os.chdir(before)
    assert status == 0, f"{line}: {stderr.getvalue()}"
