import pytest
import torch

from asrdistill.models import device
from asrdistill.models.device import choose_device, choose_precision
from tests.refusals import refused

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("seconds", "expected"), [([2.0, 1.0], torch.bfloat16), ([1.0, 20.0], torch.float32), ([1.0, 0.9], torch.float32)]
)
def test_bfloat16_only_where_it_is_measured_to_be_faster(monkeypatch, seconds, expected):
    monkeypatch.setattr(device, "_seconds", lambda *_: seconds)
    assert choose_precision("auto", CPU) == expected
    assert choose_precision("float32", CPU) == torch.float32
    assert choose_precision("bfloat16", CPU) == torch.bfloat16


def test_measuring_does_not_change_the_threads():
    before = torch.get_num_threads()
    assert all(seconds > 0 for seconds in device._seconds([torch.float32, torch.bfloat16], CPU, trials=2))
    assert torch.get_num_threads() == before


def test_missing_gpu_is_refused():
    if not torch.cuda.is_available():
        with refused("'cuda'", "'cpu'"):
            choose_device("cuda")
