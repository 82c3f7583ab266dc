"""Hidden Markov models: topology, GMM flat start, forced alignment. Text and features in, a senone for each frame out."""
