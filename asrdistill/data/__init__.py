"""Data directories, audio and frame archives: what every other step reads and writes."""
