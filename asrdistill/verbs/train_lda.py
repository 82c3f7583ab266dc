"""Train triphone GMM-HMMs on projected features: spliced cepstra, LDA, MLLT.

LDA spreads the senones of the given alignment apart; MLLT turns the projection while training, so
that diagonal covariances fit.

Example: asrdistill train-lda data/cepstra/train exp/ali/train data/train lang exp/lda_mllt
"""

import argparse

from asrdistill.config import add_options, resolve
from asrdistill.hmm.options import LdaOptions
from asrdistill.verbs.train_tri import add_inputs, train_on_alignment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_inputs(parser, "archive that asrdistill cepstra made")
    add_options(parser, LdaOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.hmm.train import train_lda

    train_on_alignment(args, "train-lda", resolve(LdaOptions, args), train_lda)
