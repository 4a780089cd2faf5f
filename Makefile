# Each target does its own set-up: a virtual environment in .venv and an editable install. An environment that is
# already there is kept, so a torch that you installed into it first stays.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO := build/demo
ROUNDS ?= 30
RUNS ?= 2000
SEED ?= $(shell date +%j%H%M%S)
TRAINER ?= maml
CHAOS := build/chaos.md
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell echo $$(($(CORES) + 1)))
SPREAD = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
CLUSTER := build/cluster.log
# What speaks to the operating system, against Python's own types for macOS; no other package's types depend on it
DARWIN := --platform darwin --follow-imports skip --no-warn-unused-ignores --no-warn-redundant-casts \
	--cache-dir .mypy_cache/darwin -p sweeper -p trainers.program \
	-m trainers.readings -m trainers.data.cache -m trainers.maml.engines.kernel_cache -m trainers.maml.protocols

# Each process of the tests would compile every test module for itself
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all test-fast test-long chaos cluster-test store-test bench docs lint clean

# The kB that torch with CUDA and the rest take in the environment on Linux x86-64
ROOM := 7000000

# What running needs. Python's version and the disk are checked before pip starts, since pip downloads gigabytes before
# it fails. An environment that has a torch needs little more.
$(INSTALLED): pyproject.toml
	@python=$(PYTHON); first=; \
	if test -x $(BIN)/python; then python=$(BIN)/python; first="remove $(VENV), then "; fi; \
	found=$$($$python -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null) \
		|| found="no Python that runs"; \
	case "$$found" in "Python 3.1"[1-9]|"Python 3."[2-9][0-9]) ;; *) \
		echo "$$python is $$found; 3.11 or later is needed:" \
			"$${first}make $(or $(MAKECMDGOALS),demo) PYTHON=python3.11" >&2; \
		exit 1;; \
	esac
	@free=$$(df -Pk $(dir $(VENV)) 2>/dev/null | awk 'NR == 2 {print $$4}'); \
	if test "$$(uname -sm)" = "Linux x86_64" && test "$${free:-$(ROOM)}" -lt $(ROOM) \
		&& ! $(BIN)/python -c 'import torch' 2>/dev/null; then \
		echo "$(VENV) will take $$(($(ROOM) / 1000000)) GB, and its disk has $$((free / 1000)) MB free:" \
			"make room, choose another disk with make $(or $(MAKECMDGOALS),demo) VENV=DIR," \
			"or install a torch for CPUs first (README.md, section Install)" >&2; \
		exit 1; \
	fi
	@echo "Installing into $(VENV). The first time takes minutes and gigabytes, most of them torch with CUDA;"
	@echo "README.md, section Install, says how to use a smaller torch for CPUs."
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	@touch $@

# What tests, lint and the documentation need on top
$(DEV): $(INSTALLED)
	$(PIP) install --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/sweeper run sweeps/quickstart.yaml --results $(DEMO)
	$(BIN)/sweeper report sweeps/quickstart.yaml --results $(DEMO) --out $(DEMO)/report
	@echo
	@echo "report  $(DEMO)/report/report.html"
	@echo "table   $(DEMO)/report/table_1.md"
	@echo "figure  $(DEMO)/report/figure_1.png"
	@echo "store   $(DEMO)/mlflow.db"
	@echo "MLflow  $(BIN)/sweeper ui --results $(DEMO)"

# Lint beside the tests. A file's tests stay together, since they share what they train; one process more than there are
# cores, since some wait for Ray and servers. A second one fills what is left of the waits, and costs as much to start.
test: $(DEV)
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint test-all

test-all: $(DEV)
	$(BIN)/python -m pytest $(SPREAD)

# Imports and CPU alone: nothing waits, so as many processes as cores
test-fast: WORKERS = $(CORES)
test-fast: $(DEV)
	$(BIN)/python -m pytest $(SPREAD) -m 'not slow'

# What the everyday suite does for a few seeds and sizes, for many; and mutants of the maths
test-long: $(DEV)
	SWEEPER_LONG=1 $(BIN)/python -m pytest $(SPREAD) --timeout=3600

chaos: $(DEV)
	mkdir -p $(dir $(CHAOS))
	SWEEPER_CHAOS_ROUNDS=$(ROUNDS) SWEEPER_CHAOS_SEED=$(SEED) SWEEPER_CHAOS_TABLE=$(abspath $(CHAOS)) \
		SWEEPER_CHAOS_TRAINER=$(TRAINER) \
		$(BIN)/python -m pytest tests/chaos -s

cluster-test: $(DEV)
	$(PIP) install --editable '.[cluster]'
	mkdir -p $(dir $(CLUSTER))
	SWEEPER_CLUSTER_FULL=1 SWEEPER_CLUSTER_LOG=$(abspath $(CLUSTER)) $(BIN)/python -m pytest tests/cluster -s

# 8 sweeps at once into one MLflow server, on PostgreSQL where the system has it: 2,000 runs
store-test: $(DEV)
	SWEEPER_STORE_RUNS=$(RUNS) $(BIN)/python -m pytest tests/sweeper/tracking/test_store_concurrency.py -s

bench: $(DEV)
	$(BIN)/python -m benchmarks.bench_trainer --rounds 3 --cells "strokes first" "strokes second"

# A broken link fails. The pages open from disk; only the search needs the server.
docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html; to search it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site"

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy $(DARWIN)

clean:
	rm -rf $(VENV) build
