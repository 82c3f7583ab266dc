import pytest

from asrdistill.lang.lexicon import Lang


def write_data(folder, texts):
    """A data directory with text and nothing to hear."""
    folder.mkdir()
    ids = sorted(texts)
    (folder / "wav.scp").write_text("".join(f"{id} true |\n" for id in ids))
    (folder / "text").write_text("".join(f"{id} {texts[id]}\n" for id in ids))
    return folder


@pytest.fixture
def lang_and_data(tmp_path):
    """(lang folder, train directory, dev directory)"""
    lang = tmp_path / "lang"
    lang.mkdir()
    Lang.build({"a": [(1.0, ("AH",))], "cat": [(1.0, ("K", "AE", "T"))]}, ["AH", "AE", "K", "T"]).write(lang)
    train = write_data(tmp_path / "train", {"u1": "a cat", "u2": "cat a cat"})
    return lang, train, write_data(tmp_path / "dev", {"d1": "a cat"})
