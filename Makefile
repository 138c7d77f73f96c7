# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test unit lint format acceptance crashes bench clean
help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(READY) ## make .venv, with everything pinned by constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Clary needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## train, deploy and ask a real model, in a server of its own that is gone afterwards
	$(BIN)/clary demo

test: $(READY) ## every test but the SDKs' (make acceptance)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not sdk"

unit: $(READY) ## what needs no process and no network, in seconds
	$(BIN)/python -m pytest tests/unit tests/wire

acceptance: $(READY) $(foreach name,cli sdk-v2 sdk-v3,.venv-$(name)/.ready) ## the AWS CLI and both SageMaker SDKs, unmodified
	$(BIN)/python -m pytest tests/acceptance -m sdk -p no:cacheprovider

crashes: $(READY) ## 1,000 histories of servers that die at any point, for each of the crash machines
	CLARY_HISTORIES=1000 $(BIN)/python -m pytest tests/properties/test_loop_survives_crashes.py tests/properties/test_nodes_survive_crashes.py --timeout 3600

# The two SDKs cannot share an environment, and the AWS CLI wants a botocore of its own.
.venv-%/.ready: tests/acceptance/environments/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

.venv-bench-%/.ready: bench/data/environments/%.txt
	$(PYTHON) -m venv .venv-bench-$*
	.venv-bench-$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

bench: $(READY) $(foreach name,peers profiling,.venv-bench-$(name)/.ready) ## what Clary costs, beside its peers (ARGS=--quick, ARGS="--only gateway", …: docs/benchmarks.md)
	$(BIN)/python -m bench $(ARGS)

lint: $(READY) ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## let ruff put things right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
