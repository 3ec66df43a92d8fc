# `make demo` makes videos with MagCache; `make test` checks everything. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/demo
	$(BIN)/cachekit run --strategy magcache

test: .venv/dev lint
	$(BIN)/pytest --durations=10

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev: .venv/demo
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,opensora,tune]'
	$(BIN)/pip install --quiet --no-deps vbench
	touch $@

clean:
	rm -rf .venv build *.egg-info
