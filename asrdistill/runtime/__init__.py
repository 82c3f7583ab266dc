"""The recogniser at run time: features, network, search, streaming. Imports nothing of training."""
