"""Training: one pure step, one loop, checkpoints that resume exactly."""
