"""Alignments and posteriors of other systems: CTM, Praat TextGrid, TIMIT's PHN, Kaldi."""
