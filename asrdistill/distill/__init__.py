"""Distillation: soft targets of an ensemble, their store, and the losses that a student learns by."""
