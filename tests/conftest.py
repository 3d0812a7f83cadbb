"""Run-time checks of the jaxtyping signatures, and the fixtures that several rooms share."""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

# One thread for each process's linear algebra: pytest-xdist has a process a core, and threads that
# wait for each other on a busy core made solves of 512 unknowns twenty times as slow.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping  # only now, for it imports NumPy

# The same small programs are compiled again and again, in this process and in those it starts.
_compiled = tempfile.TemporaryDirectory(prefix="jxr-compiled-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _compiled.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# Tests compile more than they compute, and one thread a process does not wait for others here
# either. The older of XLA's two ways to generate code for fusions takes half the time; later
# jaxlibs do not have it, and an unknown flag is fatal.
_quick = "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false"
if version("jaxlib").startswith("0.10."):
    _quick += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", _quick)

# Before the first import of jxr: the hook rewrites modules as they are imported.
jaxtyping.install_import_hook("jxr", "beartype.beartype")


@pytest.fixture(scope="session", autouse=True)
def random_weights_once():
    """Runs with random weights draw the same 15 million numbers again and again, for seconds."""
    import jax

    from jxr.studies import features

    draw, drawn = features.random_weights, {}

    def once(key):
        seed = tuple(jax.random.key_data(key).tolist())
        if seed not in drawn:
            drawn[seed] = draw(key)
        return jax.tree.map(lambda leaf: leaf, drawn[seed])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "random_weights", once)
        yield


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


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory) -> Path:
    """A folder of 54 made-up images in the Kaggle layout."""
    from tests.tiny import write_images

    return write_images(tmp_path_factory.mktemp("images"))
