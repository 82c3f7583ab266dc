"""From scaled likelihoods to words: lexical tree, language model and token passing."""
