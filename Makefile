# make quickstart   a virtual environment, the pinned install, and the recipe from corpora to a scored model
# make test         the same environment plus the test tools: lint, types, tests
# make test-long    the tests that take minutes, which `make test` leaves out
# make tree         the Medical Entity Tree of all open vocabularies; MEDXIAOHE_DATA names the data pack
# make docs         the documentation as a site in out/site; opens without a server and a network
# make clean        removes what the quickstart wrote (not .venv, not the asset cache)

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints/cpu.txt
RECIPE ?= recipes/quickstart.yaml
RUN_FLAGS ?=
PYTEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder
BIN := $(VENV)/bin

.PHONY: quickstart tree test test-long lint types docs install install-dev clean

quickstart: install
	$(BIN)/medxiaohe run $(RECIPE) $(RUN_FLAGS)

tree: install
	$(BIN)/medxiaohe tree build --with recipes/tree.yaml --out out/tree $(RUN_FLAGS)
	$(BIN)/medxiaohe tree stats --tree out/tree/tree/1

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS) -m "not long"

test-long: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS) -m long

lint: install-dev
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/python docs/reference.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "medxiaohe needs Python 3.11 or newer, and $(PYTHON) is older: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "installing into $(VENV): a few minutes the first time"
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[train]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[train,fast,dev]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c $(CONSTRAINTS) -e '.[train,docs]'
	@touch $@

clean:
	rm -rf out
