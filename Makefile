# Lamplighter. `make help` lists what there is; nothing but Python 3.11+ (with venv) and make is needed.

PYTHON ?= python3
VENV := .venv
SYNAPSE_VENV := .venv-synapse
DOCS_VENV := .venv-docs
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TESTS ?=
BENCH ?=

# Each process of the tests would compile all sources again, and tests start many.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run check test test-interop chaos bench lint types architecture tests tests-in-memory docs generated format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.project ## install Lamplighter into .venv, from the lock file

run: setup ## run the demo: a real server, three users, and a presence router module
	@exec $(BIN)/lamplighter demo

check: $(VENV)/.dev ## while you work: lint, types, architecture, and the tests that start no process
	@$(MAKE) --no-print-directory -j 2 lint types architecture tests-in-memory

test: $(VENV)/.dev ## everything that must pass: lint, types, architecture, tests
	@$(MAKE) --no-print-directory -j 2 lint types architecture tests

tests-in-memory: $(VENV)/.dev ## the tests that start no process, with few random examples
	EXAMPLES=4 $(BIN)/pytest -q -n 2 --dist worksteal -m "not interop and not processes"

test-interop: $(VENV)/.dev $(SYNAPSE_VENV)/.synapse ## federation with a real Synapse in its own environment; an installation
	$(BIN)/pytest -m interop tests/federation_interop tests/deploy

chaos: $(VENV)/.dev ## 60 clients while real nodes are killed, frozen and cut off; CHAOS_SECONDS=3600 CHAOS_SEED=7
	CHAOS_SECONDS=$${CHAOS_SECONDS:-60} $(BIN)/pytest -q tests/chaos/test_chaos.py

bench: $(VENV)/.bench $(SYNAPSE_VENV)/.synapse ## measure beside a real Synapse; BENCH=--quick takes three minutes
	$(BIN)/python -m bench $(BENCH)

lint: $(VENV)/.dev ## ruff: rules and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev ## mypy --strict over sources and tests
	$(BIN)/mypy

architecture: $(VENV)/.dev ## import-linter: who may import whom
	$(BIN)/lint-imports --no-logo

tests: $(VENV)/.dev ## pytest, on two cores; TESTS=tests/config runs a part
	$(BIN)/pytest -n 2 --dist worksteal $(TESTS)

docs: $(DOCS_VENV)/.docs ## build the documentation site into build/site; a broken link fails
	$(DOCS_VENV)/bin/zensical build --strict --clean
	$(DOCS_VENV)/bin/python -m doctools.site build/site

generated: $(VENV)/.dev ## renew the pictures and the reference in docs/ that are made from the code
	$(BIN)/python -m doctools

format: $(VENV)/.dev ## put the sources into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## renew requirements/*.txt (needs uv)
	uv pip compile pyproject.toml requirements/build.in --extra postgresql --extra cluster --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -o requirements/runtime.txt
	uv pip compile pyproject.toml requirements/build.in --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -o requirements/dev.txt
	uv pip compile pyproject.toml requirements/build.in --extra bench --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -o requirements/bench.txt
	uv pip compile requirements/synapse.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -o requirements/synapse.txt
	uv pip compile requirements/docs.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -o requirements/docs.txt

clean: ## remove all that was made here, environments included
	rm -rf $(VENV) $(SYNAPSE_VENV) $(DOCS_VENV) build .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +

# The stamps: each is made once, and again when what it was made from changes.

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Lamplighter needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another with: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt $(VENV)/.python
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.project
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.project
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(SYNAPSE_VENV)/.synapse: requirements/synapse.txt $(VENV)/.python
	$(PYTHON) -m venv $(SYNAPSE_VENV)
	$(SYNAPSE_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $<
	@touch $@

$(DOCS_VENV)/.docs: requirements/docs.txt $(VENV)/.python
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $<
	@touch $@
