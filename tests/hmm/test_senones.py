import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from asrdistill.hmm.senones import Senones
from tests.refusals import refused
from tests.trees import between

LANG = SimpleNamespace(phones=["SIL", "AA", "B"], silence="SIL")


def test_monophones_number_the_states_phone_by_phone():
    senones = Senones.monophones(LANG)
    assert senones.states == {"SIL": [0, 1, 2, 3, 4], "AA": [5, 6, 7], "B": [8, 9, 10]}
    assert senones.count == 11
    assert senones.silence == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(np.exp(senones.self_loop) + np.exp(senones.forward), 1)


def test_written_senones_are_read_again(tmp_path):
    senones = Senones.monophones(LANG)
    senones.self_loop = np.log(np.linspace(0.1, 0.9, senones.count))
    senones.write(tmp_path)
    again = Senones.read(tmp_path)
    np.testing.assert_array_equal(again.self_loop, senones.self_loop)
    assert (again.phones, again.states, again.hash) == (senones.phones, senones.states, senones.hash)


def test_hash_depends_on_the_states_alone():
    senones, other = Senones.monophones(LANG), Senones.monophones(LANG)
    other.self_loop = np.log(np.full(other.count, 0.5))
    assert senones.hash == other.hash
    assert senones.hash != Senones.monophones(SimpleNamespace(phones=["SIL", "AA", "D"], silence="SIL")).hash


@pytest.mark.parametrize(
    "text", ["{}", '{"phones": ["A"], "states": {"A": [0, 5]}, "self_loop": [-1]}', "[]", "nonsense"]
)
def test_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "senones.json").write_text(text)
    with refused(tmp_path / "senones.json"):
        Senones.read(tmp_path)


def test_table_equals_the_trees():
    trees = [
        5,
        {"left": "B AA", "yes": 6, "no": {"right": "SIL", "yes": 7, "no": 8}},
        {"right": "D", "yes": 9, "no": 10},
    ]
    states = {"SIL": [0, 1, 2, 3, 4], "AA": trees, "B": [11, 12, 13], "D": [14, 15, 16]}
    senones = Senones(["SIL", "AA", "B", "D"], states, np.full(17, -0.3))
    assert between(senones, "B", "AA", "D") == [5, 6, 9]
    assert between(senones, "D", "AA", "SIL") == [5, 7, 10]
    assert senones.contexts.tolist() == [0, 1, 1, 2]
    for p, phone in enumerate(senones.phones):
        for left, right in itertools.product(range(4), repeat=2):
            found = senones.table[p, senones.contexts[left], senones.contexts[right]]
            assert found[: senones.lengths[p]].tolist() == between(
                senones, senones.phones[left], phone, senones.phones[right]
            )


def test_position_dependent_phones_share_trees():
    lang = SimpleNamespace(phones=["SIL", "AA_B", "AA_E"], silence="SIL")
    senones = Senones.monophones(lang)
    assert senones.states == {"SIL": [0, 1, 2, 3, 4], "AA": [5, 6, 7]}
    senones.states["AA"][0] = {"centre": "AA_B", "yes": 5, "no": 8}
    senones.self_loop = np.full(9, -0.3)
    assert (between(senones, "SIL", "AA_B", "SIL"), between(senones, "SIL", "AA_E", "SIL")) == ([5, 6, 7], [8, 6, 7])
    assert senones.table[:, 0, 0, 0].tolist() == [0, 5, 8]


def test_the_owner_of_a_senone_is_its_tree():
    split = {"left": "B", "yes": 6, "no": {"right": "AA", "yes": 8, "no": 5}}
    senones = Senones(["SIL", "AA", "B"], {"SIL": [0, 1], "AA": [split, 7], "B": [2, 3, 4]}, np.full(9, -1.0))
    assert senones.owner.tolist() == [0, 1, 4, 5, 6, 2, 2, 3, 2]
