"""One corpus = one module, with ``prepare_<corpus>(source, out, minutes, jobs)`` and, where the licence allows it,
``download_<corpus>(out)``. A corpus that comes in parts takes ``parts`` in both and has ``folders_of(source, parts)``.
"""

import pkgutil


def names() -> list[str]:
    """The corpora that there are."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))
