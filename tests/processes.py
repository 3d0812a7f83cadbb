"""Python processes with so many CPU devices; their number is fixed when JAX starts."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment(devices: int) -> dict[str, str]:
    """The environment of such a process, which compiles as this one does."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def run_script(script: str, *arguments: object, devices: int) -> None:
    """Runs a script to its end, which has to be a good one."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(devices))
