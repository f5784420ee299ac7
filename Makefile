# Every target makes its own environment in $(VENV), from nothing, without a compiler.
#
#   make tfa-det   the main job: train the tiny restorer in front of a frozen detector and write the report
#   make test      all tests, with the line coverage of unirestore/
#   make test-extras   the tests that need Ray, transformers or video codecs (in $(EXTRAS_VENV))
#   make lint      ruff, without changing a file        make format   ruff, changing them
#   make docs      the documentation as pages in site/  make clean    remove what the tools left behind
#
# PYTHON chooses the interpreter (3.10 or newer) that makes the environment, VENV its folder:
#   make test PYTHON=python3.12 VENV=/tmp/venv312
#
# An environment that exists is kept and only brought up to date. `make test ARGS="-k haze"` adds arguments.

PYTHON ?= python3
VENV ?= .venv
EXTRAS_VENV ?= .venv-extras
ARGS ?=
WORKERS ?= 2
# lines of unirestore/ that the tests must run, in percent
COVERAGE_FLOOR ?= 90

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
CONFIG ?= configs/tfa_det.py

.PHONY: tfa-det test test-extras lint format docs clean
.DEFAULT_GOAL := test

tfa-det: $(VENV)/.stamp
	$(PY) tools/train.py $(CONFIG) $(ARGS)

# one thread per worker: two workers with two threads each are slower on two cores
test: $(VENV)/.stamp
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist worksteal \
		--cov=unirestore --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR) $(ARGS)

# in `make test` these tests skip where their package is absent; here it must be there
EXTRAS_TESTS := tests/cli/test_degrade_command.py tests/degradations/test_depth_model.py \
	tests/degradations/test_compression.py tests/models/test_official.py
test-extras: $(EXTRAS_VENV)/.stamp-extras
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(EXTRAS_VENV)/bin/python -c 'import av, ray, transformers'
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(EXTRAS_VENV)/bin/python -m pytest $(EXTRAS_TESTS) $(ARGS)

lint: $(VENV)/.stamp-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV)/.stamp-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: $(VENV)/.stamp-docs
	$(PY) -m mkdocs build --strict --site-dir site

clean:
	rm -rf build dist site htmlcov .coverage .coverage.* coverage.xml *.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find unirestore tests tools configs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 10) and \
		"unirestore needs Python 3.10 or newer, and $(PYTHON) is " + v + "; name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# A stamp is younger than the files that say what to install. opencv-python comes in through mmcv and shares its
# folder with opencv-python-headless; the headless one is written last, because it needs no X libraries.
$(VENV)/.stamp: setup.py constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt -e '.[mm,test,metrics]'
	$(PIP) install -q -c constraints.txt --no-deps --force-reinstall opencv-python-headless
	$(PY) -c 'import cv2, torchvision, mmengine'
	@touch $@

$(EXTRAS_VENV)/.stamp-extras: setup.py constraints.txt
	$(PYTHON) -m venv $(EXTRAS_VENV)
	$(EXTRAS_VENV)/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt \
		-e '.[depth,ray,video,test]'
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	@touch $@
