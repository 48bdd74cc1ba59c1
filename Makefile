# The developer's commands; CONTRIBUTING.md says when to use which.  PYTHON=... chooses the interpreter.
#   make dev     once: a virtual environment .venv with an editable install and all tools
#   make build   compile what has changed in csrc/, the binding and Python files
#   make test    build, then the whole suite on all cores; ARGS="tests/engine -k switch": what these select instead
#   make fast    build, then the tests marked fast: under 30 seconds
#   make bench   build, then the benchmarks of the engine's loops and of whole machines
#   make docs    the pages made from code, then the site in build/site, warnings as errors
#   make lint    formatting, lint, types
#   make clean   removes what was built
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
ARGS ?=

.PHONY: dev build test fast bench docs lint clean

$(BIN)/wse: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet 'setuptools>=77' 'Cython>=3.1'
	$(BIN)/pip install --quiet --no-build-isolation --editable '.[dev,docs]'
	touch $@

dev: $(BIN)/wse build
	-test -d .git && $(BIN)/pre-commit install --hook-type pre-commit --hook-type commit-msg

build: $(BIN)/wse
	$(BIN)/python setup.py --quiet build_ext --inplace
	$(BIN)/python -m compileall -q wse

test: build
	$(BIN)/pytest $(or $(ARGS),-n auto)

fast: build
	$(BIN)/pytest -m fast $(ARGS)

bench: build
	$(BIN)/pytest -n 0 benchmarks --benchmark-only $(ARGS)
	$(BIN)/wse bench

docs: build
	$(BIN)/python tests/record.py docs
	$(BIN)/mkdocs build --strict --site-dir build/site

lint: $(BIN)/wse
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf build wse/_engine*.so *.egg-info
