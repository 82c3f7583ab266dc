"""Training: pools of frames, targets, the loop. Teacher, baseline and student share all of it."""
