# Everything a developer types. `make` alone lists it; scripts/setup makes .venv on demand.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
# Code that is linted and typed beside src/, as far as it is there yet.
EXTRA := $(wildcard examples/*.py benchmarks/*.py)

# One BLAS or Rust thread per process wherever we test or time: two test workers on two cores
# would otherwise run four threads, and a timing in CPU-seconds would count idle spinning.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 RAYON_NUM_THREADS=1 \
	QISKIT_PARALLEL=FALSE

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: base-env ## set everything up and run the main job; writes report.html
	$(BIN)/qai run examples/tfim_6q.qasm --observable ZIIIII --observable ZZIIII --shots 8000 \
		--crypto-mode pqc-required --report report.html

.PHONY: test
test: dev-env ## set everything up, lint, and run every test
	@$(MAKE) lint
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist loadfile $(ARGS)

.PHONY: check
check: dev-env ## lint and the quick tests, side by side, in under a minute
	@$(MAKE) -j2 -k --output-sync=target types quick style imports

.PHONY: token
token: base-env ## build the development token (PKCS#11, post-quantum); prints its path
	@scripts/token

.PHONY: token-wheel
token-wheel: base-env ## pack that token as a wheel, for machines without Rust; prints its path
	@scripts/token-wheel

.PHONY: bench
bench: dev-env ## run every script in benchmarks/
	@for script in $(filter-out benchmarks/em.py benchmarks/liao.py,$(wildcard benchmarks/[a-z]*.py)); do \
		echo "== $$script"; $(ONE_THREAD) $(BIN)/python "$$script"; done

.PHONY: bench-em
bench-em: dev-env ## the error-mitigation benchmark from scratch, against its committed summary
	$(ONE_THREAD) $(BIN)/python benchmarks/em.py $(ARGS)

.PHONY: lint
lint: dev-env ## ruff, strict mypy, import-linter
	@$(MAKE) -j2 -k --output-sync=target types style imports

.PHONY: format
format: dev-env ## rewrite the code in the house's form
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

.PHONY: lock
lock: dev-env ## solve pyproject.toml into requirements/*.txt (ARGS=--upgrade for the newest)
	scripts/lock $(ARGS)

.PHONY: clean
clean: ## remove the environment and everything derived (not QAI_HOME, not ~/.cache)
	rm -rf .venv .cache .hypothesis .benchmarks report.html dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The parts of lint and check; each can be run alone.
.PHONY: style types imports quick
style: dev-env
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: dev-env
	$(BIN)/mypy src $(EXTRA)

imports: dev-env
	$(BIN)/lint-imports --no-logo --cache-dir .cache/import-linter

quick: dev-env
	$(ONE_THREAD) $(BIN)/pytest -q -n 2 --dist loadfile -m "not slow and not integration" $(ARGS)

.PHONY: base-env dev-env
base-env:
	@scripts/setup base

dev-env:
	@scripts/setup dev
