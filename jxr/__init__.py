"""Chest X-rays under focal-spot blur: optics, restoration and diagnosis in JAX and Flax."""

__version__ = "0.1.0"
