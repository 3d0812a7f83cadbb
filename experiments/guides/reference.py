"""Writes the reference, a page a module, made of all docstrings.

python -m experiments.guides.reference FOLDER
"""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from pkgutil import walk_packages


def every_module() -> list[str]:
    """Returns the names of `jxr` and all modules in it."""
    import jxr

    return ["jxr", *(module.name for module in walk_packages(jxr.__path__, "jxr."))]


def write_reference(folder: Path, modules: Sequence[str]) -> None:
    """Writes a page for each of these modules, an index and a search."""
    import pdoc

    import jxr

    # pdoc sees only names that are loaded, and those of `jxr` are loaded when they are asked for.
    vars(jxr).update({name: getattr(jxr, name) for name in jxr.__all__})
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings():
        # By itself it finds the modules of packages without `__all__`, and then a second time.
        warnings.filterwarnings("ignore", "The module specification .* already been added")
        # Types of other packages, in what is inherited from TFDS and in optax's trees.
        for name in ("Version", "utils", "ArrayTree"):
            warnings.filterwarnings("ignore", f"Error parsing .* Import of {name} failed")
        pdoc.pdoc(*modules, output_directory=folder)


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]), every_module())
