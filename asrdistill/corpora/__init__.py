"""Corpora and forms of corpora, one module each: ``prepare_NAME(source, out, jobs)``, ``download_NAME(out)``.

A corpus in parts takes ``parts`` in both and has ``folders_of(source, parts)``. Corpora of one recipe are in its
``local/``.
"""


def names() -> list[str]:
    """Names of the corpora."""
    return ["huggingface", "lhotse", "librispeech", "table", "timit"]
