"""Forms of an exported network."""

INT8 = ("int8", "onnx-int8")

FORMS = {
    "safetensors": "float32 weights (`model.safetensors`)",
    "int8": "8-bit integers (`model.safetensors`)",
    "onnx": "float32 in ONNX (`model.onnx`), run by ONNX Runtime",
    "onnx-int8": "8-bit integers in ONNX (`model.onnx`), run by ONNX Runtime",
    "torchscript": "TorchScript (`model.pt`) for libtorch; `model.safetensors` is what `asrdistill` runs",
    "kaldi": "Kaldi's nnet3 and HMMs as text; `model.safetensors` is what `asrdistill` runs",
}

# Folders for other programs, and the forms of the networks in them
PROGRAMS = {
    "web": ("safetensors", "a page for browsers with float32 weights (`model.bin`)"),
    "web-int8": ("int8", "a page for browsers with weights of 8-bit integers (`model.bin`)"),
    "vosk": ("safetensors", "Kaldi's nnet3 and search graph for Vosk (`am/final.mdl`, `graph/HCLG.fst`)"),
}


def kind_of(form: str) -> str:
    """The kind that meta.json of a recogniser folder names."""
    return "onnx" if form.startswith("onnx") else "int8" if form == "int8" else "dnn"
