"""Hidden Markov models: topology, GMM flat start, forced alignment. Text and features in, senones per frame out."""
