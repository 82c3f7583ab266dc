"""Encoders that others trained: a waveform goes in, frames of a pretrained network come out."""
