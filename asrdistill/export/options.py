"""The forms of an exported network, apart from what writes them so that reading them loads no torch."""

FORMS = ("safetensors", "onnx", "int8", "torchscript", "kaldi")
