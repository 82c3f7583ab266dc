"""Forms of an exported network."""

FORMS = ("safetensors", "onnx", "int8", "torchscript", "kaldi")
