"""A user's own radiographs: deblurred, or classified by a run."""
