# make test, make lint; PYTHON=python3.12 picks the interpreter, TESTS=tests/optics a part.
PYTHON ?= python3
TESTS ?=
VENV ?= .venv-$(notdir $(PYTHON))
RUN = $(VENV)/bin/python

.PHONY: test lint clean

test: $(VENV)/ready
	$(RUN) -m pytest $(TESTS)

lint: $(VENV)/ready
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

# One environment for each interpreter, made anew when the pins or the project's metadata change.
$(VENV)/ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint requirements.lock --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
