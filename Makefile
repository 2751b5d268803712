# Everything that is done with this project, by name: `make help`.
# Needs Python 3.11 or newer, make, and a package registry that pip can reach.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

HOST ?= 127.0.0.1
PORT ?= 8000
# One more than there are processors: many tests wait for processes that they started.
PROCESSES ?= $(shell expr 1 + $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))
PYTHON ?= python3.11 python3.12 python3.13 python3.14 python3
PYTEST_OPTIONS ?=
BENCH_OPTIONS ?=
MUTATION_OPTIONS ?=
UPGRADE ?=
PIP_TOOLS := pip-tools==7.6.2

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTHON_FILES := $(wildcard src tests tools benchmarks)

# A stamp is newer than what it was made from, so a repeated call costs nothing.
CREATED := $(VENV)/.stamp-created
RUNTIME := $(VENV)/.stamp-runtime
PRODUCT := $(VENV)/.stamp-product
DEVELOPMENT := $(VENV)/.stamp-development
LOCKING := $(VENV)/.stamp-locking

.PHONY: help
help: ## Show this list
	@echo "usage: make TARGET [VARIABLE=value]"
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 12
	@echo
	@echo "  HOST, PORT      where 'make run' listens (now $(HOST):$(PORT))"
	@echo "  PYTHON          the interpreter that makes $(VENV), 3.11 or newer"
	@echo "  PROCESSES       how many processes tests and mutants use (now $(PROCESSES))"
	@echo "  PYTEST_OPTIONS  more options for pytest, e.g. '-k agents'"
	@echo "  BENCH_OPTIONS   more options for the benchmarks"
	@echo "  MUTATION_OPTIONS  modules to break, instead of all"
	@echo "  UPGRADE=1       lets 'make lock' take the newest releases"
	@echo "  MUSTER_TEST_DATABASES     what the tests run on (default sqlite,postgresql)"
	@echo "  MUSTER_TEST_DATABASE_URL  a PostgreSQL server for the tests (default: a private one)"

.PHONY: setup
setup: $(PRODUCT) ## Make .venv and install Muster into it, exactly as locked
	@echo "Muster is installed: $(BIN)/muster --help"

.PHONY: run
run: $(PRODUCT) ## Start Muster with the examples on HOST:PORT
	@exec $(BIN)/muster serve --example --host $(HOST) --port $(PORT)

# Hundreds of processes are started: each would compile anew what is not kept as bytecode.
.PHONY: test
test: $(DEVELOPMENT) ## Run every test on SQLite and PostgreSQL, and measure coverage
	@COVERAGE_FILE="$(CURDIR)/.coverage"; COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml"; \
	export COVERAGE_FILE COVERAGE_PROCESS_START; unset PYTHONDONTWRITEBYTECODE; \
	$(BIN)/coverage erase && \
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal \
	  --database "$${MUSTER_TEST_DATABASES:-sqlite,postgresql}" $(PYTEST_OPTIONS) && \
	$(BIN)/coverage combine --quiet && \
	$(BIN)/coverage report --skip-covered

.PHONY: check
check: $(DEVELOPMENT) ## Lint, formatting, types, import contracts, locks
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m tools.locks check

.PHONY: bench
bench: $(DEVELOPMENT) ## Measure the figures that this project promises
	@exec $(BIN)/python -m benchmarks $(BENCH_OPTIONS)

.PHONY: mutation
mutation: $(DEVELOPMENT) ## Break the policy rules in every small way: does a test notice?
	@exec $(BIN)/python -m tools.mutation --processes $(PROCESSES) $(MUTATION_OPTIONS)

.PHONY: lock
lock: $(LOCKING) ## Write requirements.lock and requirements-dev.lock from pyproject.toml
	@CUSTOM_COMPILE_COMMAND="make lock"; export CUSTOM_COMPILE_COMMAND; \
	compile="$(VENV)/locking/bin/pip-compile --quiet --no-config --generate-hashes --allow-unsafe \
	  --strip-extras --no-emit-options --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --newline lf $(if $(UPGRADE),--upgrade)" && \
	$$compile --build-deps-for editable --output-file requirements.lock pyproject.toml && \
	$(VENV)/locking/bin/python -m tools.locks development > $(VENV)/locking/development.in && \
	$$compile --output-file requirements-dev.lock $(VENV)/locking/development.in && \
	$(VENV)/locking/bin/python -m tools.locks tidy

.PHONY: migration
migration: $(DEVELOPMENT) ## Write a revision of the schema: make migration MESSAGE="what changes"
	@$(BIN)/python -m tools.migration "$(MESSAGE)"

.PHONY: clean
clean: ## Remove .venv and everything that tools left behind
	rm -rf $(VENV) .coverage .coverage.* htmlcov .ruff_cache .import_linter_cache .hypothesis .bench
	find $(PYTHON_FILES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(CREATED):
	@if $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  touch $@; exit 0; fi; \
	for candidate in $(PYTHON); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    if ! "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then \
	      echo "$$candidate cannot make virtual environments: install its venv module" \
	        "(Debian and Ubuntu: the package python3-venv), then run make again." >&2; exit 1; \
	    fi; \
	    echo "Making $(VENV) with $$candidate"; \
	    "$$candidate" -m venv --clear $(VENV) && touch $@ && exit 0; exit 1; \
	  fi; \
	done; \
	echo "Muster needs Python 3.11 or newer; none of these is one: $(PYTHON)." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1

# With --no-deps the lock is the whole list: nothing is resolved, nothing unlisted can slip in.
$(RUNTIME): requirements.lock | $(CREATED)
	@echo "Installing the libraries of requirements.lock"
	@$(PIP_INSTALL) --no-deps --require-hashes --requirement requirements.lock
	@touch $@

$(PRODUCT): pyproject.toml $(RUNTIME)
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(DEVELOPMENT): requirements-dev.lock $(PRODUCT)
	@echo "Installing the libraries of requirements-dev.lock"
	@$(PIP_INSTALL) --no-deps --require-hashes --requirement requirements-dev.lock
	@touch $@

$(LOCKING): | $(CREATED)
	@$(BIN)/python -m venv --clear $(VENV)/locking
	@$(VENV)/locking/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_TOOLS)
	@touch $@
