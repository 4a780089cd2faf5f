# Each target does its own set-up: a virtual environment in .venv and an editable install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
ROUNDS ?= 30
RUNS ?= 2000
SEED ?= $(shell date +%j%H%M%S)
CHAOS := build/chaos.md
CLUSTER := build/cluster.log

.PHONY: demo test test-maths test-machinery test-fast test-long chaos cluster-test store-test bench lint clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/sweeper run sweeps/quickstart.yaml --results $(DEMO)
	$(BIN)/sweeper report sweeps/quickstart.yaml --results $(DEMO) --out $(DEMO)/report
	@echo
	@echo "table   $(DEMO)/report/table_1.md"
	@echo "figure  $(DEMO)/report/figure_1.png"
	@echo "store   $(DEMO)/mlflow.db"
	@echo "MLflow  $(BIN)/sweeper ui --results $(DEMO)"

# Two halves at once: one computes, the other mostly waits for Ray and servers.
test: $(VENV)/.installed lint
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-maths test-machinery

test-maths: $(VENV)/.installed
	$(BIN)/python -m pytest tests/trainers tests/analysis

test-machinery: $(VENV)/.installed
	$(BIN)/python -m pytest --ignore=tests/trainers --ignore=tests/analysis

test-fast: $(VENV)/.installed
	$(BIN)/python -m pytest -m 'not slow'

# What the everyday suite does for a few seeds and sizes, for many
test-long: $(VENV)/.installed
	SWEEPER_LONG=1 $(BIN)/python -m pytest --timeout=3600

chaos: $(VENV)/.installed
	mkdir -p $(dir $(CHAOS))
	SWEEPER_CHAOS_ROUNDS=$(ROUNDS) SWEEPER_CHAOS_SEED=$(SEED) SWEEPER_CHAOS_TABLE=$(abspath $(CHAOS)) \
		$(BIN)/python -m pytest tests/chaos -s

cluster-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cluster]'
	mkdir -p $(dir $(CLUSTER))
	SWEEPER_CLUSTER_FULL=1 SWEEPER_CLUSTER_LOG=$(abspath $(CLUSTER)) $(BIN)/python -m pytest tests/cluster -s

# 8 sweeps at once into one MLflow server, on PostgreSQL where the system has it: 2,000 runs
store-test: $(VENV)/.installed
	SWEEPER_STORE_RUNS=$(RUNS) $(BIN)/python -m pytest tests/sweeper/tracking/test_store_concurrency.py -s

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.bench_trainer --rounds 3 --cells "strokes first" "strokes second"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build
