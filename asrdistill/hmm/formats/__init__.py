"""Alignments of other systems, in and out: CTM, Praat TextGrid, TIMIT's PHN, Kaldi's ali."""
