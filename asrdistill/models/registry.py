"""From options to a network."""

import dataclasses
from collections.abc import Callable
from typing import Any

from asrdistill.config import hash_fields
from asrdistill.errors import UserError
from asrdistill.models.dnn import Dnn
from asrdistill.models.gru import Gru
from asrdistill.models.network import Network
from asrdistill.models.options import DnnOptions
from asrdistill.models.tdnn import Tdnn

NETWORKS: dict[str, Callable[[DnnOptions, int, int], Network]] = {"dnn": Dnn, "tdnn": Tdnn, "gru": Gru}


def build_network(options: DnnOptions, features: int, senones: int) -> Network:
    """The untrained network of F features and S senones; raises UserError for options that do not fit together."""
    if options.architecture != "dnn" and options.widths:
        raise UserError("only a dnn can be trained in several widths at once; take widths out of the options")
    return NETWORKS[options.architecture](options, features, senones)


def described(options: DnnOptions) -> dict[str, Any]:
    """The options that rebuild a network, for its meta.json."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(DnnOptions)}
    return hash_fields(DnnOptions(**values))
