"""Where a number comes from: versions, commit, config, fingerprints, device."""

import dataclasses
import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "scipy", "pillow",
    "scikit-learn",
)  # fmt: skip


def provenance(config: Any, **fingerprints: str) -> dict[str, Any]:
    """Returns what a results file says of its origin; no absolute paths.

    Args:
        config: The run's config dataclass; of its paths only the last part is kept.
        **fingerprints: For example `data` and `weights`.
    """
    device = jax.devices()[0]
    return {
        "versions": {
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
        "git_commit": git_commit(),
        "config": json.loads(json.dumps(without_folders(dataclasses.asdict(config)))),
        "fingerprints": fingerprints,
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
            "machine": platform.machine(),
        },
    }


def without_folders(values: dict[str, Any]) -> dict[str, Any]:
    """Returns nested config values with each `path` reduced to its last part."""
    return {
        key: without_folders(value)
        if isinstance(value, dict)
        else (Path(value).name if key == "path" else value)
        for key, value in values.items()
    }


def git_commit() -> str | None:
    """Returns the commit of the source, with `+changes` if it differs; None outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        call = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
        return call.stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None
