"""Sweeps over sigma: stacked heads and U-Nets, scores over blur and noise, break points."""
