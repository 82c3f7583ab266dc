"""Phone loop: a lexicon whose words are phones, and their n-gram model, to decode without a vocabulary."""

from dataclasses import replace
from pathlib import Path

from asrdistill.data.ctm import read_ctm
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import make_lm


def make_loop(alignment: Path, out: Path, order: int) -> None:
    """Write into `out` the lang folder ``lang``, whose words are an alignment's phones, and their n-grams, ``lm``."""
    phones = Senones.read(alignment).phones
    lang = replace(Lang.of_phones(phones[1:], phones[0]), phones=phones)  # in the order of the model's
    said = [" ".join(part.label for part in parts) for _, parts in read_ctm(alignment / "phones.ctm")]
    for name in ("lang", "lm"):
        (out / name).mkdir(exist_ok=True)
    lang.write(out / "lang")
    make_lm(said, lang.words, order, [0], {}, out / "lm")
    write_json(out / "loop.json", {"phones": len(phones), "order": order})
