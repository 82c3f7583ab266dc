from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.subset import split_recordings
from tests.refusals import refused


def recordings(count: int, pieces: int) -> DataDirectory:
    return DataDirectory(
        Utterance(
            f"r{r:02d}-{p:03d}", f"{r}.wav", "s", recording=f"r{r:02d}", start=float(p), end=p + 0.9, duration=0.9
        )
        for r in range(count)
        for p in range(pieces)
    )


def test_recordings_are_not_divided():
    data = recordings(50, 4)
    sets = split_recordings(data, 10)
    of = {name: {u.recording for u in part} for name, part in sets.items()}
    assert {name: len(some) for name, some in of.items()} == {"train": 40, "dev": 5, "test": 5}
    assert sum(map(len, sets.values())) == len(data)
    assert len(set.union(*of.values())) == 50  # none of them in two sets


def test_order_of_recordings_is_kept_when_audio_is_added():
    """A recording's place depends on its name: test of half the recordings lies among the first of all."""
    whole, half = split_recordings(recordings(100, 1), 10), split_recordings(recordings(50, 1), 10)
    kept = {u.id for name in ("test", "dev") for u in whole[name]}
    assert sum(u.id in kept for u in half["test"]) >= 4


def test_few_recordings_are_split_at_their_ends():
    sets = split_recordings(recordings(2, 20), 10)
    assert [u.id for u in sets["test"]] == ["r00-018", "r00-019", "r01-018", "r01-019"]
    assert [u.id for u in sets["dev"]] == ["r00-016", "r00-017", "r01-016", "r01-017"]
    assert len(sets["train"]) == 32


def test_too_few_recordings_are_refused():
    with refused("2 utterances", "1 recordings", "dev"):
        split_recordings(recordings(1, 2), 10)
