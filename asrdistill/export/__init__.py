"""A student in the user's hands: one folder with everything that turns audio into words."""
