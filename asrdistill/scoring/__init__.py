"""Word errors, their confidence intervals, and whether one system really is better than another."""
