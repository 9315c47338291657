# `make demo` and `make test` set up everything that they need in .venv; `make check` is what CI adds.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test slow check benchmarks clean
.NOTPARALLEL:

demo: $(VENV)/.demo
	$(BIN)/earmark tag examples/

# Compiled files are kept for the many commands.
test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist worksteal -m "not slow"

slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# make benchmarks PEERS=peers/bin/python; without it, what needs peers is left out and says so.
benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(if $(PEERS),--peers $(PEERS))

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

# The stamps: made again when what is to be installed has changed.
$(VENV)/.demo: pyproject.toml constraints.txt $(VENV)/.python
	$(INSTALL) -e ".[av,data]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.python
	$(INSTALL) -e ".[dev]"
	touch $@

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	"$(PYTHON) is Python %d.%d; earmark needs 3.11 to 3.13; name one of these: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@
