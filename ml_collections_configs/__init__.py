"""Configs of the experiments, one file a family of runs."""
