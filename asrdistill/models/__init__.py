"""Acoustic models: features (B, left + T + right, F) -> logits (B, T, S), and the folders they live in."""
