"""Features: log-mel filterbanks, cepstra, deltas, splicing, means and variances."""

from asrdistill.features.context import add_deltas, splice
from asrdistill.features.statistics import global_stats

__all__ = ["add_deltas", "global_stats", "splice"]
