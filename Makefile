# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := bash -o pipefail
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# pip repeats for each package that an index in the machine's own settings lacks it; all else is shown.
LACKING := 2>&1 | sed -E "/^WARNING: (Location|Url) '[^']*' is ignored[:.] /d" >&2

.PHONY: help demo quick test test-quick lint licences bench gpu-pack gpu dist install apertium chromium clean

# A file's tests share models that the file makes, so they stay together; each process has one thread of its own. Files come in their order, where
# short ones are last, not by their number of tests.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

BENCHMARKS := start features store decode restoration training distillation peak plan serve

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: install ## Train teachers and a student on the corpus that ships, and score them (about eleven minutes on two cores)
	$(BIN)/lbkd demo

quick: install ## The same way in two minutes; its scores mean nothing
	$(BIN)/lbkd demo --quick

test: install ## Run all tests
	$(BIN)/python -m pytest $(PARALLEL)

test-quick: install ## Run the tests that take seconds
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

lint: install ## Check style, types, the documentation's links, and packages for known weaknesses
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/check_links.py
	$(BIN)/python docs/dependencies.py audit

licences: install ## List the packages that lbkd needs, with their licences
	@$(BIN)/python docs/dependencies.py licences

bench: $(VENV)/bench ## Measure beside other tools (all, or one: make bench NAME=features)
	@for name in $(or $(NAME),$(BENCHMARKS)); do $(BIN)/python -m benchmarks.$$name || exit; done

gpu-pack: $(VENV)/bench ## Pack what `make gpu` needs into one folder, where there is a network (OUT=gpu-pack)
	$(BIN)/python -m benchmarks.gpu.pack $(OUT)

gpu: ## Measure on this machine's GPU in eight minutes, without a network (OUT=gpu-pack ARGS=--rehearse)
	$(PYTHON) $(or $(OUT),gpu-pack)/run.py $(ARGS)

ASK := from lbkd import Answerer; print(Answerer("work/runs/distill.combined.impurity")(question="¿Quién la pintó?", context="La pintó Remedios Varo en 1955."))

dist: install ## Build the wheel in dist/, and try it alone: in a bare environment the short demo, and a question to its student
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(PYTHON) -m venv dist/venv
	dist/venv/bin/python -m pip install --quiet --constraint constraints.txt "$$(ls dist/lbkd-*.whl)[demo]"
	cd dist && venv/bin/lbkd demo --quick --workspace work && venv/bin/python -c '$(ASK)'

install: $(VENV)/installed ## Make the virtual environment

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing lbkd with PyTorch, transformers, DeepSpeed and the tools of its tests into $(VENV): some minutes, over 2 GB"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable '.[demo,onnx,xlm,tensorboard,mlflow,wandb,serve,report,arrow,dev]' $(LACKING)
	@touch $@

$(VENV)/bench: $(VENV)/installed
	@echo "Installing the tools that the benchmarks measure against into $(VENV)"
	@$(INSTALL) --editable '.[bench]' $(LACKING)
	@touch $@

apertium: ## Install Apertium with English and Spanish, which tests of translations need (Debian, Ubuntu; as root)
	apt-get update --quiet
	apt-get install --quiet --yes --no-install-recommends apertium apertium-eng-spa

chromium: ## Install Chromium, which tests of the page need (Debian, Ubuntu; as root)
	apt-get update --quiet
	apt-get install --quiet --yes --no-install-recommends chromium chromium-driver fonts-noto-core fonts-noto-cjk

clean: ## Remove the virtual environment and what tests and tools left behind
	rm -rf $(VENV) build dist gpu-pack gpu-work *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
