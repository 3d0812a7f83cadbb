"""Entry points: flags, one call into `jxr.studies`."""
