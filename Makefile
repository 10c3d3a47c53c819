# edgeseg: everything a developer runs. `make help` lists it.
# Each target makes its own environment in .venv first; that takes a few minutes once, then no time.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

# The environment is made anew when pyproject.toml's content or PYTHON's version changes, not when a clone or a
# checkout touches a file.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
STAMP := $(VENV)/edgeseg-$(VERSION)-$(shell cksum < pyproject.toml | cut -d ' ' -f 1).stamp
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv check format test slow rigs mutants demo wheel clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

venv: $(STAMP) ## the environment alone: .venv with edgeseg and all its extras

$(STAMP): | python-is-usable
	@echo "Installing edgeseg and its tools into $(VENV) (Python $(VERSION), TensorFlow included: a minute or more) ..."
	@if [ "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$(VERSION)" ]; \
		then $(PYTHON) -m venv --clear $(VENV); fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e ".[train,mavlink,dev]"
	@rm -f $(VENV)/edgeseg-*.stamp
	@touch $@

.PHONY: python-is-usable
python-is-usable:
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no '$(PYTHON)' here: install Python 3.10-3.13, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "make: $(PYTHON) is Python $(VERSION), edgeseg needs 3.10-3.13: name another, as in make PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; \
		exit 1; }

check: $(STAMP) ## what needs no running: ruff, format, types, import contracts
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check . || { echo "make: not formatted: run make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >$(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@echo "check: ruff, format, mypy and the import contracts are clean"

format: $(STAMP) ## format the code and fix what ruff can
	@$(BIN)/ruff check -q --fix .
	@$(BIN)/ruff format .

test: check ## all fast tests, after check
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

slow: $(STAMP) ## the tests that take minutes
	@$(BIN)/python -m pytest -q -m slow

rigs: $(STAMP) ## the tests on emulated devices (see tests/rigs)
	@$(BIN)/python -m pytest -q -m rig

mutants: $(STAMP) ## mutation testing (see tests/mutation/mutants.py); MODULES names some
	@$(BIN)/python tests/mutation/mutants.py $(MODULES)

demo: $(STAMP) ## the whole loop on the model that ships: see out/demo afterwards
	@$(BIN)/edgeseg demo

wheel: $(STAMP) ## the package as it is published, in dist/
	@$(BIN)/python -m build --wheel --outdir dist >$(VENV)/build.log || { cat $(VENV)/build.log; exit 1; }
	@ls dist

clean: ## remove the environment, caches and what commands wrote into out/
	@rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
