# Needs only git, make and Python 3.11 or later with venv. Everything is installed into .venv, with versions and digests locked.
# Another Python: make PYTHON=/path/to/python3.12 demo

PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$one" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$one"; break; }; done)
PYTEST_ARGS ?=
CORPUS ?= ../shared/corpus
BENCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
DEMO := build/demo
# The demonstration keeps its keys here and leaves nothing in the home folder.
DEMO_ENV := XDG_STATE_HOME="$(CURDIR)/$(DEMO)/state"

.PHONY: help demo test lint format sample-images replay bench coverage readme picture lock wheel clean
.DELETE_ON_ERROR:

help:
	@echo "make demo           install, process a sample image, verify the case, say where the report is"
	@echo "make test           install the development tools too, run the tests"
	@echo "make lint           ruff, ruff format --check, mypy"
	@echo "make replay         process every sample image and show each difference from what is expected"
	@echo "make sample-images  build the sample images anew (Linux, as root: it mounts)"
	@echo "make bench          measure against fls, icat, hashdeep and yara by hand (they must be installed)"
	@echo "make coverage       process the public reference images of CORPUS and write docs/coverage.md"
	@echo "make readme         write into the documentation what its commands print now"
	@echo "make picture        make docs/images/report.png from the demo (needs chromium)"
	@echo "make wheel          build the wheel into dist/"
	@echo "make lock           resolve the locked versions anew (needs uv)"
	@echo "make clean          remove everything that the targets above made"

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; none was found. Say which: make PYTHON=/path/to/python3 demo" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }

$(VENV)/runtime: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing what requirements.txt locks into $(VENV) …"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/development: requirements-dev.txt $(VENV)/runtime
	@echo "installing what requirements-dev.txt locks into $(VENV) …"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

demo: $(VENV)/runtime
	@rm -rf demo-case $(DEMO) && mkdir -p $(DEMO)
	@$(BIN)/python -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' \
		sample_images/windows/windows.dd.xz $(DEMO)/windows.dd
	@echo '$$ evidex process $(DEMO)/windows.dd --case demo-case --exhibit KH-1 --examiner "Ada Example" --case-number 2026-0142 --agency "Example Police"'
	@$(DEMO_ENV) $(BIN)/evidex process $(DEMO)/windows.dd --case demo-case --exhibit KH-1 --examiner "Ada Example" --case-number 2026-0142 --agency "Example Police" </dev/null \
		|| test $$? -eq 3
	@echo
	@echo '$$ evidex verify demo-case'
	@$(DEMO_ENV) $(BIN)/evidex verify demo-case </dev/null || test $$? -eq 3
	@echo
	@echo "Open the report: $(CURDIR)/demo-case/reports/001-KH-1/index.html"

test: $(VENV)/development
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

replay: $(VENV)/runtime
	$(BIN)/evidex replay sample_images

sample-images: $(VENV)/runtime
	$(BIN)/python -m sample_images.make_samples

bench: $(VENV)/runtime
	$(BIN)/python benchmarks/throughput.py --write benchmarks/results.md $(BENCH_ARGS)

coverage: $(VENV)/runtime
	$(BIN)/python docs/coverage_table.py $(CORPUS) docs/coverage.md

# What the documentation shows under its commands, as they print it now.
readme: $(VENV)/runtime
	$(BIN)/python docs/console.py README.md docs/*.md

picture: demo
	$(BIN)/python docs/images/make_picture.py demo-case/reports/001-KH-1/index.html docs/images/report.png

wheel: $(VENV)/development
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# The result names no package index: it installs from whichever one pip is set up for.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
lock:
	$(LOCK) --group build pyproject.toml --output-file requirements.txt
	$(LOCK) --group dev pyproject.toml --constraints requirements.txt --output-file requirements-dev.txt

clean:
	rm -rf $(VENV) build dist demo-case .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
