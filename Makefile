# Everything a contributor runs. Needs Python 3.11+ with pip, make and git; each target does its own set-up in .venv/.
#
#   make demo PYTHON=python3.12      another interpreter
#   make test ARGS="-k paging -x"    more arguments for pytest

PYTHON  ?= python3
UV      ?= uv
WORKERS ?= 3
ARGS    ?=

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Tools are started as modules: that works in folders with spaces in their names, too.
RUN := .venv/bin/python -m
PIP := $(RUN) pip install --quiet --no-input
PYTEST := $(RUN) pytest -q -n $(WORKERS)
LOCK := "$(UV)" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help demo test test-all check docs texts bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.runtime ## a sandbox portal with 10,000 deals, read into Delta tables, and a look at them
	@.venv/bin/b24lake demo

test: .venv/.dev ## the tests a contributor runs (under ten minutes)
	@$(PYTEST) -m "not slow" $(ARGS)

test-all: .venv/.dev ## every test, the slow ones included
	@$(PYTEST) $(ARGS)

check: .venv/.dev ## lint, format, types, import arrows
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) pytest -q tests/test_house.py

docs: .venv/.runtime ## write the pages about streams and their relations from the table of streams
	@$(RUN) b24lake.streams.documentation docs

texts: .venv/.dev ## collect the texts of the screens into the catalogues of the languages
	@.venv/bin/python scripts/texts.py

bench: .venv/.dev ## speed, memory, limits: benchmarks/RESULTS.md (about half an hour)
	@$(RUN) benchmarks.full_read
	@$(RUN) benchmarks.memory
	@$(RUN) benchmarks.realistic
	@$(RUN) benchmarks.operating
	@$(RUN) benchmarks.portal_whole
	@$(RUN) benchmarks.makespan
	@$(RUN) benchmarks.plan
	@$(RUN) benchmarks.lake
	@$(RUN) benchmarks.service
	@$(RUN) benchmarks.pages
	@$(RUN) benchmarks.catalog
	@$(RUN) benchmarks.versions

lock: ## choose the newest versions again and write both lock files (needs uv)
	@command -v "$(UV)" >/dev/null || { echo "make lock needs uv: pip install uv, or make lock UV=/path/to/uv"; exit 1; }
	@$(LOCK) --upgrade pyproject.toml --output-file requirements.lock
	@$(LOCK) --upgrade pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@grep -c '==' requirements.lock requirements-dev.lock

clean: ## remove the environment and every cache
	rm -rf .venv .boot .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps in .venv/ say what is installed; they are older than what they were made from only after a change.

.venv/.made:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "b24lake needs Python 3.11 or newer; $(PYTHON) is `"$(PYTHON)" --version 2>/dev/null || echo missing`."; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making the environment .venv ..."
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv >/dev/null 2>&1 || { \
	  echo "This Python has no venv module: virtualenv takes its place."; \
	  rm -rf .venv .boot; \
	  "$(PYTHON)" -m pip install --quiet --no-input --target .boot "virtualenv>=20.26" && \
	  PYTHONPATH=.boot "$(PYTHON)" -m virtualenv --quiet .venv || { \
	    echo "Neither venv nor pip works. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }; }
	@touch $@

.venv/.runtime: .venv/.made requirements.lock pyproject.toml
	@echo "Installing b24lake (the first time takes a minute or two) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Installing the tools for tests and checks ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
