"""A recogniser as a page for browsers: the core as WebAssembly, and all that it reads in one file.

model.bin, packed by gzip, is the length of the settings (uint32), the settings (JSON, padded to ALIGNED bytes) and the
arrays. The settings hold structs of core.h as values, where a pointer is the number of an array, whose place is
`arrays[number]`. page/recogniser.js reads it.
"""

import ctypes
import gzip
import json
import shutil
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from asrdistill.core import FLAG, HANDLE, REAL, SIZE
from asrdistill.core.build import MODULE, build_wasm
from asrdistill.core.layers import NativeLayer, NativeRows
from asrdistill.decode.acoustic import PosteriorScorer
from asrdistill.decode.search import Arcs, NativeGrammar, NativeGraph, NativeLook, NativeScales, View, native_graph
from asrdistill.errors import UserError
from asrdistill.lang.lexicon import root_of
from asrdistill.models.native import NETWORKS, NativeModel
from asrdistill.runtime.frontend import NativeFeatures, native_features
from asrdistill.runtime.options import PAUSE, STRETCH, EndpointOptions
from asrdistill.runtime.recogniser import LATTICE_BEAM, Recogniser
from asrdistill.runtime.stream import LONGEST_WORD

PAGE = Path(__file__).with_name("page")
ALIGNED = 16
OPEN = ("exit_left", "right_begin", "right", "root_class", "root_begin", "root_node")  # how words can be added
KINDS = {SIZE: "i64", REAL: "f64", FLAG: "i32", ctypes.c_float: "f32", HANDLE: "ptr"}
BYTES = {"i64": 8, "f64": 8, "i32": 4, "f32": 4, "ptr": 4}  # in wasm32


def check_page(meta: dict[str, Any], model: Path) -> None:
    """Raise UserError for a network or features that the core does not compute, and where there is no core.wasm."""
    network = meta.get("options", {}).get("architecture", "dnn")
    if meta["kind"] not in ("dnn", "int8") or network not in NETWORKS or meta["features"]["type"] == "whisper":
        raise UserError(
            f"{model} is nothing that a page can run; give a network ({', '.join(NETWORKS)}) on fbank or cepstra"
        )
    wasm()


def write_page(recogniser: Recogniser, out: Path, name: str) -> None:
    for path in (*PAGE.iterdir(), wasm()):
        shutil.copyfile(path, out / path.name)
    (out / "model.bin").write_bytes(gzip.compress(pack_model(recogniser, name), mtime=0))


def wasm() -> Path:
    """The core as WebAssembly, made if need be; raises UserError where that is impossible."""
    try:
        return build_wasm()
    except OSError as error:
        raise UserError(f"{MODULE} is missing or of other sources, and {error}") from None


def pack_model(recogniser: Recogniser, name: str) -> bytes:
    """The unpacked content of model.bin."""
    arrays: list[np.ndarray] = []

    def number(array: np.ndarray | None) -> int | None:
        if array is None:
            return None
        arrays.append(array)
        return len(arrays) - 1

    def values(made: Any) -> dict[str, Any]:
        """Fields of a struct that knows its arrays, without the structs in it."""
        fields = [(name, kind) for name, kind, *_ in made._fields_ if kind not in NESTED]
        return {name: number(made.kept.get(name)) if kind is HANDLE else getattr(made, name) for name, kind in fields}

    decoder, scorer = recogniser.decoder, cast(PosteriorScorer, recogniser.scorer)
    model: NativeModel = scorer.model
    _, features = native_features(scorer.meta, Path(name))
    graph, scales, senones = native_graph(decoder.graph, decoder.senones), decoder.scales(), scorer.senones
    g2p = recogniser._lexicon.g2p
    lattice = scales.lattice_beam if scales.lattice_beam >= 0 else LATTICE_BEAM * decoder.options.lm_weight
    settings = {
        "format": 1,
        "name": name,
        "rate": recogniser.front.rate,
        "frame_seconds": recogniser.frame_shift,
        "subsampling": senones.subsampling,
        "context": model.context,
        "dimension": model.dimension,
        "senones": senones.count,
        "block": decoder.block,
        "beyond": decoder.beyond,
        "scales": {**scales._asdict(), "lattice_beam": lattice},
        "endpoints": {**asdict(EndpointOptions()), "pause": PAUSE, "stretch": STRETCH, "longest_word": LONGEST_WORD},
        "silence": sorted(decoder.silence),
        "steps": model.steps,
        "features": values(features),
        "graph": {
            **values(graph),
            "grammar": values(graph.parts[0]),
            "look": values(graph.parts[1]),
            "more": values(graph.parts[2]),
        },
        "layers": {
            key: {"struct": values(layer.struct), "factor": number(layer.factor), "zero": layer.zero}
            for key, layer in model.layers.items()
        },
        "delays": {key: {"weight": number(array), "taps": len(array)} for key, array in model.delays.items()},
        **{key: number(array) for key, array in (("mean", model.mean), ("deviation", model.std))},
        "log_priors": number(scorer.log_priors),
        "words": decoder.words,
        "adding": None
        if senones.ctc
        else {
            "phones": senones.phones,
            "roots": list(map(root_of, senones.phones)),
            "contexts": senones.contexts.tolist(),
            "lengths": senones.lengths.tolist(),
            "table": number(senones.table),
            "silence": senones.silence,
            "unspoken": decoder.graph.unspoken,
            **{name: number(getattr(decoder.graph.tree, name)) for name in OPEN},
        },
        "g2p": g2p and {"graphones": g2p.graphones, **{k: number(v) for k, v in g2p.tree._asdict().items()}},
        "layouts": LAYOUTS,
    }
    places, content = [], bytearray()
    for array in arrays:
        places.append(len(content))
        content += np.ascontiguousarray(array).tobytes()
        content += bytes(-len(content) % ALIGNED)
    head = json.dumps(
        {**settings, "arrays": places, "sizes": [array.nbytes for array in arrays]},
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    head += b" " * (-(4 + len(head)) % ALIGNED)
    return struct.pack("<I", len(head)) + head + bytes(content)


def layout(kind: Any) -> dict[str, Any]:
    """Fields (name, type, offset) and size of a ctypes.Structure in wasm32."""
    at, widest, fields = 0, 4, []
    for name, of, *_ in kind._fields_:
        inner = NESTED.get(of)
        size = layout(of)["size"] if inner else BYTES[KINDS[of]]
        least = 8 if inner else size
        at += -at % least
        fields.append((name, inner or KINDS[of], at))
        at, widest = at + size, max(widest, least)
    return {"fields": fields, "size": at + -at % widest}


STRUCTS = {
    **{"features": NativeFeatures, "graph": NativeGraph, "layer": NativeLayer, "rows": NativeRows},
    **{"scales": NativeScales, "arcs": Arcs, "view": View, "grammar": NativeGrammar, "look": NativeLook},
}
NESTED = {kind: name for name, kind in STRUCTS.items()}
LAYOUTS = {name: layout(kind) for name, kind in STRUCTS.items()}
