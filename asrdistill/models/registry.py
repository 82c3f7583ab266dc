"""Registry of networks: name → class. A new one also needs its name in `asrdistill.models.options.ARCHITECTURES`.

The class says what the rest of the package may do with it: `exports`, `is_recurrent`, `summary`.
"""

import dataclasses
from typing import Any

from asrdistill.config import hash_fields
from asrdistill.models.dnn import Dnn
from asrdistill.models.gru import Gru
from asrdistill.models.network import Network
from asrdistill.models.options import NetworkConfig
from asrdistill.models.tdnn import Tdnn
from asrdistill.models.tdnnf import Tdnnf

NETWORKS: dict[str, type[Network]] = {"dnn": Dnn, "tdnn": Tdnn, "tdnnf": Tdnnf, "gru": Gru}


def build_network(config: NetworkConfig, features: int, senones: int) -> Network:
    """The untrained network of F features and S senones."""
    return NETWORKS[config.architecture](config, features, senones)


def config_of(options: NetworkConfig) -> dict[str, Any]:
    """The options that rebuild a network, for its meta.json."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(NetworkConfig)}
    return hash_fields(NetworkConfig(**values))
