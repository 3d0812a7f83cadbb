"""Promises about the code itself: the direction of imports, and no TensorFlow."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "optics",
    "restoration",
    "models",
    "data",
    "evaluation",
    "training",
    "studies",
    "reporting",
)


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def test_a_room_imports_only_rooms_to_its_left():
    seen = 0
    for path in (ROOT / "jxr").rglob("*.py"):
        room = path.relative_to(ROOT / "jxr").parts[0]
        place = ROOMS.index(room) if room in ROOMS else -1
        if path == ROOT / "jxr" / "__init__.py":
            place = len(ROOMS)  # has names of all rooms, each loaded when it is asked for
        for module in imported_modules(path):
            assert not module.startswith(("experiments", "ml_collections_configs")), path
            parts = module.split(".")
            if parts[0] == "jxr" and len(parts) > 1 and parts[1] in ROOMS:
                assert ROOMS.index(parts[1]) <= place, f"{path} imports {module}"
                seen += 1
    assert seen > 20


def test_tensorflow_is_never_imported():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("jxr", "ml_collections_configs")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "assert 'jax' in sys.modules\n"
        "found = [m for m in sys.modules if m.split('.')[0] in ('tensorflow', 'torch')]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_experiments_import_neither_jax_nor_tensorflow_for_their_help():
    for path in sorted((ROOT / "experiments").glob("*.py")):
        if path.stem == "tour":  # a notebook, which computes as it is imported
            continue
        script = (
            f"import sys, experiments.{path.stem}\n"
            "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_a_mistake_in_a_config_is_told_before_jax_is_loaded():
    """It would take seconds, several times what finding the mistake takes."""
    commands = [
        path
        for path in sorted((ROOT / "experiments").glob("*.py"))
        if "cli.config_of" in path.read_text()
    ]
    assert len(commands) > 10
    for path in commands:
        folder = "output" if "workdir=False" in path.read_text() else "workdir"
        arguments = [path.stem, f"--{folder}=never-made"]
        script = (
            "import runpy, sys\n"
            f"sys.argv = {arguments}\n"
            "try:\n"
            f"    runpy.run_module('experiments.{path.stem}', run_name='__main__')\n"
            "except SystemExit as ended:\n"
            "    assert ended.code == 2, ended.code\n"
            "assert not {'jax', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        )
        called = [sys.executable, "-c", script]
        ended = subprocess.run(called, cwd=ROOT, check=True, capture_output=True, text=True)
        assert ended.stderr.startswith("error: no config: give --config=FILE.py:NAME"), path


PICKLERS = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def test_no_pickle_is_loaded():
    """A pickle in a file may run anything: NumPy must refuse them, and nothing else reads them."""
    loads = 0
    for folder in ("jxr", "experiments", "ml_collections_configs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            modules = {module.split(".")[0] for module in imported_modules(path)}
            assert not modules & PICKLERS, path
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "torch.jit.load"), path
                options = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert options.get("allow_pickle", "False") == "False", path
                if called in ("np.load", "numpy.load"):
                    assert options.get("allow_pickle") == "False", f"{path}: {ast.unparse(node)}"
                    loads += 1
    assert loads > 4
