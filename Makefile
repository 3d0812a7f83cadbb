# make demo, make test, make lint, make docs; PYTHON=python3.12 picks the interpreter,
# TESTS=tests/optics a part, FLAGS=--config.data.phantoms.train=120 another demo.
PYTHON ?= python3
TESTS ?=
FLAGS ?=
VENV ?= .venv-$(notdir $(PYTHON))
RUN = $(VENV)/bin/python

.PHONY: demo test lint docs clean

demo: $(VENV)/installed
	$(RUN) -m experiments.reproduce --config=ml_collections_configs/reproduce.py:demo \
	  --workdir=runs/demo $(FLAGS)
	@echo "open runs/demo/report/index.html"

test: $(VENV)/ready
	$(RUN) -m pytest -n auto --maxprocesses=4 --dist loadfile $(TESTS)

lint: $(VENV)/ready
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

# A page a module, from the docstrings.
docs: $(VENV)/ready
	$(RUN) -m experiments.guides.reference runs/docs
	@echo "open runs/docs/index.html"

# One environment for each interpreter, made anew when the pins or the project's metadata change.
$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint requirements.lock --editable .
	touch $@

# The same environment with what tests and linters need.
$(VENV)/ready: $(VENV)/installed
	$(RUN) -m pip install --quiet --constraint requirements.lock --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
