"""The senone inventory: which HMM states there are, and how long one stays in them.

Every phone is a left-to-right HMM without skips: 3 states, 5 for silence. Each state has a self
loop and a step forward. The file ``senones.json`` stands in every model folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asrdistill.errors import UserError
from asrdistill.files import hash_of, read_json, write_json

if TYPE_CHECKING:
    from asrdistill.lang.lexicon import Lang

PHONE_STATES, SILENCE_STATES = 3, 5
START_SELF_LOOP = 0.75  # stay four frames on average, Kaldi's start too


@dataclass
class Senones:
    """The states of all phones and their self-loop probabilities.

    phones     names, phones[0] is silence
    states     phone -> senone of each of its HMM states, in order
    self_loop  (S,) natural log of the probability to stay; to leave is log(1 - p), see `forward`
    """

    phones: list[str]
    states: dict[str, list[int]]
    self_loop: np.ndarray = field(repr=False)

    @classmethod
    def monophones(cls, lang: Lang) -> Senones:
        """One senone for each state of each phone, numbered in the order of ``lang.phones``."""
        states: dict[str, list[int]] = {}
        count = 0
        for phone in lang.phones:
            length = SILENCE_STATES if phone == lang.silence else PHONE_STATES
            states[phone] = list(range(count, count + length))
            count += length
        return cls(list(lang.phones), states, np.full(count, np.log(START_SELF_LOOP)))

    @property
    def count(self) -> int:
        """S, the number of senones."""
        return len(self.self_loop)

    @property
    def forward(self) -> np.ndarray:
        """(S,) natural log of the probability to leave the state."""
        return np.log1p(-np.exp(self.self_loop))

    @property
    def hash(self) -> str:
        """Identity of the inventory: phones and states, not the probabilities."""
        return hash_of({"phones": self.phones, "states": self.states})

    @property
    def silence(self) -> list[int]:
        """The senones of the silence phone."""
        return self.states[self.phones[0]]

    @classmethod
    def read(cls, folder: Path) -> Senones:
        """Read ``senones.json`` of a model folder; raises UserError when it is missing or inconsistent."""
        path = Path(folder) / "senones.json"
        record = read_json(path)
        try:
            senones = cls(record["phones"], record["states"], np.asarray(record["self_loop"], dtype=np.float64))
            used = {senone for states in senones.states.values() for senone in states}
            sound = used == set(range(senones.count)) and list(senones.states) == senones.phones
            sound = sound and bool(np.all(senones.self_loop < 0))
        except (KeyError, TypeError, ValueError, AttributeError):
            sound = False
        if not sound:
            raise UserError(f"{path} is not a senone inventory; train the model again")
        return senones

    def write(self, folder: Path) -> None:
        """Write ``senones.json`` into the folder."""
        record = {"phones": self.phones, "states": self.states, "self_loop": self.self_loop.tolist()}
        write_json(Path(folder) / "senones.json", record)
