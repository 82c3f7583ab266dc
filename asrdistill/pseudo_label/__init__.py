"""Pseudo-labels: transcripts by Whisper with a confidence per utterance, and their filter."""
