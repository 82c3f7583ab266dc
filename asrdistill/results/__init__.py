"""What an experiment found: results.json, and the tables and pictures that are drawn from it."""
