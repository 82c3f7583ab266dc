"""Forms of an exported network."""

FORMS = {
    "safetensors": "float32 weights (`model.safetensors`), run by torch",
    "onnx": "float32 in ONNX (`model.onnx`), run by ONNX Runtime",
    "int8": "8-bit integers in ONNX (`model.onnx`), run by ONNX Runtime",
    "torchscript": "TorchScript (`model.pt`) for libtorch; `model.safetensors` is what `asrdistill` runs",
    "kaldi": "Kaldi's nnet3 and HMMs as text; `model.safetensors` is what `asrdistill` runs",
}
