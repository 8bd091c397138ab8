# `make figures` and `make test` need Python 3.11+, make and a package index; nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help setup figures test slow lint notebooks docs bench lock clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(INSTALLED)  ## create .venv from requirements.lock

figures: $(INSTALLED)  ## redraw the paper's figures, then run the demo study and draw the same
	@$(BIN)/afanalysis run

test: $(INSTALLED)  ## fast tests, the docstrings' examples and the notebooks' outputs
	@$(BIN)/pytest -n auto --dist loadfile --doctest-modules --nbval \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg notebooks tests src/afanalysis

slow: $(INSTALLED)  ## long simulations and crash tests
	@$(BIN)/pytest -m slow -n auto --dist loadfile tests

lint: $(INSTALLED)  ## style, types, layers and dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry src

notebooks: $(INSTALLED)  ## refresh the committed outputs of the numbered notebooks, and their texts
	@$(BIN)/jupytext --quiet --sync notebooks/0*.ipynb
	@$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.store_widget_state=False notebooks/0*.ipynb

docs: $(INSTALLED)  ## write the parts of the documentation that are made from code
	@$(BIN)/python tools/write_docs.py

bench: $(INSTALLED)  ## run every benchmark and write docs/benchmarks.md
	@$(BIN)/python benchmarks/run_all.py

lock: $(INSTALLED)  ## refresh requirements.lock from pyproject.toml
	@uv=$$(sh tools/find-uv $(PYTHON)) && "$$uv" pip compile --quiet --universal --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
	  --extra dev --extra inspect --extra cluster pyproject.toml requirements-build.in -o requirements.lock

clean:  ## remove .venv and everything made
	rm -rf $(VENV) .uv figures/paper figures/demo figures/index.html data/raw/demo data/processed/demo data/processed/paper

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "afanalysis needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1). Name another with: make PYTHON=python3.12 figures" >&2; exit 2; }
	@uv=$$(sh tools/find-uv $(PYTHON)) || exit 2; \
	  { test -x $(BIN)/python || "$$uv" venv --quiet --python $(PYTHON) $(VENV); } && \
	  "$$uv" pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock && \
	  "$$uv" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . && \
	  touch $@ || { echo "Set-up failed: the package index must be reachable (see the message above)." >&2; exit 2; }
