"""Phones, lexicon, G2P, text normalisation, n-gram language models, subwords."""
