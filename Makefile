# Two commands do everything on a machine with Python 3.11, pip and make:
#   make demo    install, fit bodies to a picture (PHOTO=path for your own), say where the results are
#   make test    install, lint, type-check, run the tests; make quick leaves the slow ones out
# and a third one builds the documentation:
#   make docs    install, build the site into build/site; warnings are errors
#   make viewers installs a glTF validator, three.js and Blender's module, with which more tests of files are run
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PHOTO ?= examples/demo.jpg
OUT ?= runs/demo
BIN := .venv/bin
# Tests run on one thread each, on up to four processors.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test quick lint types unit format docs viewers clean

demo: .venv/.product
	@mkdir -p "$(OUT)"
	$(BIN)/nbf predict "$(PHOTO)" -o "$(OUT)"
	@echo "Results in $(OUT):"
	@ls -1 "$(OUT)" | sed 's/^/  /'

test: lint types unit

quick: lint types
	$(PYTEST) -m "not slow"

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/pyright

unit: .venv/.dev
	$(PYTEST)

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The variable spares us an advertisement of the theme's.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open build/site/index.html"

# Other people's readers of our files, for tests/integration/test_viewers.py. Needs npm; the browser is yours to install.
viewers:
	mkdir -p build/viewers
	cp tests/viewers/package.json build/viewers
	npm install --prefix build/viewers --no-package-lock --no-audit --no-fund
	"$(PYTHON)" -m venv build/blender
	build/blender/bin/python -m pip install --quiet --disable-pip-version-check bpy==4.5.15

clean:
	rm -rf .venv runs/demo build src/*.egg-info

# Stamps are newer than what they were made from, so a second call costs nothing.
.venv/bin/python:
	"$(PYTHON)" -m venv .venv

.venv/.product: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e ".[dev]"
	@touch .venv/.product $@

.venv/.docs: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e ".[docs]"
	@touch .venv/.product $@
