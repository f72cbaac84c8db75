# Nothing is needed but make, Python 3.11 or newer with venv, and a package index.

.DEFAULT_GOAL := help
.PHONY: help .venv demo test up bench lint lock clean
.DELETE_ON_ERROR:

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A release, not a candidate of one: wheels of our dependencies exist only for those.
FITS := import ensurepip, sys, venv; v = sys.version_info; sys.exit(v < (3, 11) or v.releaselevel != "final")
# The newest on the path; `make PYTHON=/path/to/python3 …` overrides it.
PYTHON ?= $(shell for p in $$(seq -f 'python3.%g' 30 -1 11) python3 python; do \
	command -v $$p >/dev/null && $$p -c '$(FITS)' 2>/dev/null && { echo $$p; break; }; done)

help:  ## these lines
	@awk -F ':[^#]*## *' '/^[.a-z]+:.*##/ { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: .venv/.installed  ## the virtual environment, from requirements.lock

demo: .venv/.installed  ## the whole platform at work, then stopped; ARGS=/some/folder works on real files
	$(BIN)/python -m web.demo $(ARGS)

up: .venv/.installed  ## the whole platform on this machine until Ctrl-C; ARGS=--detach leaves it running
	$(BIN)/celery -A platform up $(ARGS)

test: .venv/.installed-dev  ## the whole test suite; ARGS="-k name" or any other option of pytest
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.installed-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed bench/.venv/.installed  ## the benchmarks, side by side with peers, into bench/results; ARGS="--repeat 5"
	$(BIN)/python -m bench $(ARGS)

# The locks hold for every platform and Python from 3.11 on; the runtime one pins what the tests ran with.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --universal --no-emit-index-url --no-header --python-version 3.11

lock: .venv/.installed-dev  ## the lock files anew from pyproject.toml; ARGS=--upgrade takes newer versions
	$(LOCK) pyproject.toml --extra dev -o requirements-dev.lock $(ARGS)
	$(LOCK) pyproject.toml -c requirements-dev.lock -o requirements.lock $(ARGS)
	$(LOCK) bench/requirements.in -c requirements.lock -o bench/requirements.lock $(ARGS)

clean:  ## remove what make made; your data in var/ stay
	rm -rf .venv bench/.venv bench/.node build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The project itself comes last and without dependencies: pip accepts no hash for a folder.
.venv/.installed: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing from requirements.lock; the first time takes a minute."
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# The peers have an environment of their own: nothing of theirs is a dependency of the project.
bench/.venv/.installed: bench/requirements.lock | .venv/.installed
	$(BIN)/python -m venv --clear bench/.venv
	bench/$(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes -r bench/requirements.lock
	@touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or newer with venv was found. Install one (Debian: apt-get install python3-venv)" >&2; \
		echo "or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
