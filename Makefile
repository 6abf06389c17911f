# make demo   the main job, end to end, offline          make test      all tests but the slow ones
# make check  style, types, import rules, start, site    make test-all  the slow ones too
# make docs   write the generated pages and figures again, and the site: build/site/index.html
# make nano   retrain the tiny teachers (about an hour)
# make proof  the method beside its rivals (hours; continues where it stopped)

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Containers often set it: every process would compile all of torch's modules anew.
unexport PYTHONDONTWRITEBYTECODE
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
READY := .venv/.ready
SITE := $(BIN)/sphinx-build -c docs -d build/doctrees -E -q -W --keep-going . build/site

.PHONY: setup demo test test-all check docs nano proof

setup: $(READY)

# Runs once, and again when the list of packages to install changes.
$(READY): pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv: a minute or two, most of it for torch"
	@bash scripts/install.sh $(BIN)/python hatchling editables
	@bash scripts/install.sh $(BIN)/python --no-build-isolation -e '.[dev]' $(PLUGINS:%=-e %)
	@touch $(READY)

demo: $(READY)
	@$(BIN)/kivfm demo

# One thread for each process, since two run at a time and the tests are small.
test: export OMP_NUM_THREADS = 1
test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: export OMP_NUM_THREADS = 1
test-all: $(READY)
	$(BIN)/python -m pytest -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/cli/test_startup.py
	$(SITE)

docs: $(READY)
	$(BIN)/python scripts/architecture.py
	$(BIN)/python scripts/api.py
	$(BIN)/python scripts/catalog.py
	$(SITE)
	@echo "the site: build/site/index.html"

nano: $(READY)
	cd plugins/kivfm-nano && ../../$(BIN)/python -m training

proof: $(READY)
	@bash scripts/install.sh $(BIN)/python --no-build-isolation -e '.[benchmarks]'
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/proof.sh
