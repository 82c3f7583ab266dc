"""Phones, lexicon, pronunciations of unknown words, text normalisation, n-gram language models."""
