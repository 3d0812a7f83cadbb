"""`import jxr`: the names that people need, typed, documented, with examples that run."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import jxr

SOURCE = Path(jxr.__file__).read_text()


def test_every_name_is_that_of_its_room():
    for room, names in jxr._ROOMS.items():
        for name in names:
            assert getattr(jxr, name) is getattr(importlib.import_module(room), name)
    assert set(jxr.__all__) <= set(dir(jxr))
    with pytest.raises(AttributeError, match="module 'jxr' has no attribute 'deblurr'"):
        _ = jxr.deblurr


def test_type_checkers_see_the_same_names():
    (typed,) = (node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    seen = {(line.module, line.names[0].asname) for line in typed.body}
    assert seen == {(room, name) for room, names in jxr._ROOMS.items() for name in names}


@pytest.mark.parametrize("name", ["__init__", *jxr.__all__])
def test_examples_run(name):
    thing = jxr if name == "__init__" else getattr(jxr, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(thing, name, module=False)
    if name != "Geometry":  # a class, whose example stands at `psf_at`
        assert found.examples, f"{name} has no example"
    assert doctest.DocTestRunner().run(found).failed == 0


@pytest.mark.parametrize("name", jxr.__all__)
def test_docstrings_say_arguments_results_and_types(name):
    thing = getattr(jxr, name)
    text = inspect.getdoc(thing)
    if inspect.isclass(thing):
        assert "Attributes:" in text
        return
    assert "Args:" in text or "Arguments" in text or "Raises:" in text
    signature = inspect.signature(thing)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not p.empty for p in signature.parameters.values())


def test_importing_it_loads_no_jax():
    code = "import sys, jxr; jxr.__all__; print('jax' in sys.modules, 'numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
