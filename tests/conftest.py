"""Run-time checks of the jaxtyping signatures, and the fixtures that several rooms share."""

import os
from pathlib import Path

import jaxtyping
import pytest

# Before the first import of jxr: the hook rewrites modules as they are imported.
jaxtyping.install_import_hook("jxr", "beartype.beartype")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real images and weights, or a skip where there is none.

    `JXR_SHARED` names it; without it, `shared` beside the checkout is tried.
    """
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("JXR_SHARED", default))
    if not (folder / "data" / "chest_xray").is_dir():
        pytest.skip(f"no real images: {folder} has no data/chest_xray (set JXR_SHARED)")
    return folder
