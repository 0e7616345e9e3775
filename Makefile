.PHONY: demo test quick install lint clean

PYTHON ?= python3
BIN := .venv/bin
# One process a core, one thread each: most tests are too small for more threads to help.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

demo: install
	$(BIN)/lemari demo

test: install-dev lint
	$(PYTEST)

quick: install-dev
	$(PYTEST) -m "not slow"

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@if command -v node >/dev/null; then $(BIN)/pyright; \
	else echo "The type check needs node, which is not installed: left out."; fi

install: .venv/installed
install-dev: .venv/installed-dev

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@ .venv/installed

clean:
	rm -rf .venv
