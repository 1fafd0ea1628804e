# `make check` runs the checks of the gate in the environment that `make install` creates.
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install check format test unit long

install:
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test:
	$(BIN)/pytest

unit:
	$(BIN)/pytest -m unit

long:
	$(BIN)/pytest -m long
