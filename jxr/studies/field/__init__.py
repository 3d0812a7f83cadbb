"""Blur that varies over the field of a detector, of exposures in millimetres."""
