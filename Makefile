# make demo   from nothing to a trained, exported, verified model and its predictions
# make test   every test but those of make release
# make release  what is slow by nature: wheels, kills, several processes, whole examples, the search for smaller files
# make fast   the tests for every edit
# make check  style, types, layers
# make format

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
PLUGINS := plugins/classification plugins/regression plugins/segmentation
# Idle OpenMP threads would otherwise spin on cores that data workers need.
export OMP_WAIT_POLICY ?= PASSIVE
export NO_ALBUMENTATIONS_UPDATE = 1

PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --durations 30

.PHONY: setup demo test release fast check format clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml)
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "dermtl needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[train,dev]' $(PLUGINS:%=--editable ./%)
	touch $@

demo: setup
	rm -rf $(DEMO)
	$(BIN)/dermtl data synth $(DEMO)/data --num 300 --seed 0
	$(BIN)/dermtl train configs/demo.yaml -o data.root=$(DEMO)/data --run $(DEMO)/run
	$(BIN)/dermtl evaluate $(DEMO)/run
	$(BIN)/dermtl export $(DEMO)/run --out $(DEMO)/model.onnx
	$(BIN)/dermtl verify $(DEMO)/model.onnx
	$(BIN)/dermtl predict $(DEMO)/model.onnx $(DEMO)/data/images --out $(DEMO)/predictions.jsonl --overlay $(DEMO)/overlays
	@echo
	@echo "report       $(DEMO)/run/evaluation/test/report.html"
	@echo "model        $(DEMO)/model.onnx"
	@echo "predictions  $(DEMO)/predictions.jsonl"
	@echo "overlays     $(DEMO)/overlays"

test release fast: export OMP_NUM_THREADS ?= 1  # two test processes, two cores

test: setup
	$(PYTEST) -m "not release"

release: setup
	$(PYTEST) -m release

fast: setup
	$(PYTEST) -m "not slow and not release"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict dermtl plugins examples
	$(BIN)/lint-imports
	PYTHONPATH=$$(printf '%s:' examples/*/) $(BIN)/lint-imports --config examples/importlinter.toml

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
