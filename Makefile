# What people, pre-commit and CI all call. Needs Python 3.11, make and a package index.
PYTHON ?= python3.11
BIN := .venv/bin
# one more than cores: the runs of real processes wait much of their time
WORKERS ?= 3
# by file, so that what the tests of a file share is set up once
SPREAD := -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# one order, so that a change fails by what it did; test-all draws a new one each time
ORDER := --randomly-seed=20260901
QUICK := -m "not slow" --doctest-modules
# hundreds of processes start, and each would compile what it loads
export PYTHONDONTWRITEBYTECODE :=
REPORT := --cov-report=term:skip-covered --cov-report=json:.coverage.json

.PHONY: help install browser demo test test-all test-matrix test-flower coverage docs bench lint constraints clean

help:
	@echo "make install   the environment, in .venv"
	@echo "make browser   Chromium for the tests of pages, where the package manager can install it"
	@echo "make demo      five banks: alone, together, pooled; and a report"
	@echo "make test      lint, types, contracts, every test but the long ones;"
	@echo "               and that the tests of privacy/ and strategies/ try all of them"
	@echo "make test-all  every test"
	@echo "make test-matrix  the package without PyTorch, on every supported Python that is there"
	@echo "make test-flower  deployments on each admitted version of Flower, and the upgrade between them"
	@echo "make coverage  what no quick test tries, in every package"
	@echo "make docs      the documents, checked and built as a site, in site/"
	@echo "make constraints  the newest versions in the ranges of pyproject.toml, into constraints.txt"
	@echo "make bench     speed, memory and utility, as tables and JSON in runs/bench"

install: .venv/installed

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 --editable '.[dev]'
	touch $@

# never fails and never waits for long: a machine without it tests all else
browser: install
	@$(BIN)/python -m tests.browser.chromium

demo: install
	$(BIN)/scenario compare bank-credit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(WORKERS)
	$(BIN)/lint-imports

test: lint browser
	$(BIN)/python -m pytest $(SPREAD) $(ORDER) $(QUICK) --cov=privacy --cov=strategies $(REPORT)
	$(BIN)/python -m tests.coverage_floor .coverage.json

coverage: install browser
	$(BIN)/python -m pytest $(SPREAD) $(ORDER) $(QUICK) --cov $(REPORT)
	$(BIN)/python -m tests.coverage_floor .coverage.json

test-all: export HYPOTHESIS_PROFILE ?= whole
test-all: lint browser
	$(BIN)/python -m pytest $(SPREAD) --doctest-modules

test-matrix: install
	$(BIN)/python -m tests.matrix

test-flower: install
	$(BIN)/python -m tests.flower_versions

# no warning passes: a broken link, a missing heading or an orphan page ends it
docs: install
	$(BIN)/python -m pytest $(ORDER) -m "not slow" tests/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . site

constraints: install
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --format pylock.toml --extra all \
		--python-version 3.11 --python-platform x86_64-manylinux_2_28 --output-file .venv/pylock.toml
	$(BIN)/python -m tests.constraints .venv/pylock.toml

bench: install
	$(BIN)/python -m tests.benchmarks.all

clean:
	rm -rf .venv runs site .mypy_cache .ruff_cache .pytest_cache .hypothesis
