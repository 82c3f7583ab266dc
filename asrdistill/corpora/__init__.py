"""Corpora: one module each, with ``prepare_<corpus>(source, out, minutes, jobs)`` and, where the licence allows it,
``download_<corpus>(out)``. A corpus in parts takes ``parts`` in both and has ``folders_of(source, parts)``.

A corpus that only one recipe uses is a script in that recipe's ``local/``.
"""


def names() -> list[str]:
    """The corpora that the package knows."""
    return ["librispeech", "timit"]
