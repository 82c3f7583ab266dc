"""Corpora, one module each: ``prepare_<corpus>(source, out, jobs)`` and ``download_<corpus>(out)`` where allowed.

A corpus in parts takes ``parts`` in both and has ``folders_of(source, parts)``. Corpora of one recipe are in its
``local/``.
"""


def names() -> list[str]:
    """Names of the corpora."""
    return ["librispeech", "timit"]
