import json

import numpy as np
import pytest
import torch

from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.models.dnn import Dnn
from asrdistill.models.folder import load_model, save_ensemble, save_model
from asrdistill.models.options import DnnOptions

OPTIONS = DnnOptions(layers=1, width=8, left=1, right=1)


def write(folder, phone="A", settings="fbank"):
    folder.mkdir()
    senones = Senones(["SIL", phone], {"SIL": [0, 1, 2, 3, 4], phone: [5, 6, 7]}, np.full(8, np.log(0.5)))
    model = Dnn(OPTIONS, 3, 8)
    torch.nn.init.normal_(model.output.weight)
    save_model(folder, model, OPTIONS, senones, np.full(8, -np.log(8), dtype=np.float32), features={"type": settings})
    return model


def test_round_trip(tmp_path):
    model = write(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    frames = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    padded = torch.from_numpy(np.pad(frames, ((1, 1), (0, 0)), mode="edge"))
    torch.testing.assert_close(loaded.logits(frames), model.eval()(padded[None])[0])
    np.testing.assert_allclose(np.exp(loaded.log_posteriors(frames)).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(loaded.priors, 1 / 8, rtol=1e-6)


def test_cut_weights_and_missing_files_are_named(tmp_path):
    write(tmp_path / "m")
    weights = tmp_path / "m/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_model(tmp_path / "m")
    weights.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors does not exist"):
        load_model(tmp_path / "m")
    with pytest.raises(UserError, match="is not a model folder"):
        load_model(tmp_path)


def test_weights_of_another_size_are_refused(tmp_path):
    write(tmp_path / "m")
    meta = json.loads((tmp_path / "m/meta.json").read_text())
    meta["options"]["width"] = 16
    (tmp_path / "m/meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=r"does not fit meta\.json"):
        load_model(tmp_path / "m")


def test_members_must_fit_together(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", phone="B")
    write(tmp_path / "c", settings="mfcc")
    for other, what in (("b", "senone inventory"), ("c", "feature settings")):
        with pytest.raises(UserError, match=what):
            save_ensemble(tmp_path, [tmp_path / "a", tmp_path / other], "arithmetic")
