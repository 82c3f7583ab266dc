"""Features: log-mel filterbanks, cepstra, deltas, splicing, means and variances."""
