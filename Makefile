# make demo   open the monitor on a simulated patient     make test    lint, types, import contract, all tests
# make model  rebuild the shipped bundle from the data    make results run the evaluation protocols again
# make benchmarks  measure speed and memory beside other programs, and write docs/benchmarks.md
PYTHON ?= python3
VENV   ?= .venv
DATA   ?= ../shared/data
CASE   ?= murmur
JOBS   ?= 2

BIN     = $(VENV)/bin
ALL     = --data pascal=$(DATA)/pascal --data circor=$(DATA)/circor --data noise=$(DATA)/esc10
RESULTS = docs/results
PROTOCOLS = pascal-grouped circor-patients new-device cross-device leakage seed-split timing quality

.PHONY: demo test lint types imports model results figures plots pictures benchmarks clean

# Without a terminal nobody could press Ctrl-C, so the demo ends by itself there.
demo: $(VENV)/.runtime
	@if [ -t 1 ]; then $(BIN)/laennec demo $(CASE); else $(BIN)/laennec demo $(CASE) --seconds 20; fi

test: $(VENV)/.test lint types imports
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

imports: $(VENV)/.test
	$(BIN)/lint-imports

# Hours: some ninety networks. What is finished lies in runs/evaluate and is not learned again.
results: $(VENV)/.test
	for protocol in $(PROTOCOLS); do \
	  $(BIN)/laennec evaluate --protocol $$protocol $(ALL) --jobs $(JOBS) --work runs/evaluate \
	    --json $(RESULTS)/$$protocol.json || exit; done

# An interrupted training goes on with `make model RESUME=--resume`.
model: $(VENV)/.test
	$(BIN)/laennec train $(ALL) --out runs/model $(RESUME)
	$(BIN)/laennec export runs/model --out models/bundles/laennec.onnx --name laennec-5 \
	  $(foreach p,$(PROTOCOLS),--results $(RESULTS)/$(p).json)

figures: $(VENV)/.test
	$(BIN)/python docs/figures.py
	$(BIN)/python -m benchmarks --write-only

# Some ten minutes on a quiet machine: measures anew, and writes docs/benchmarks.md.
benchmarks: $(VENV)/.peers
	$(BIN)/python -m benchmarks

# S1 and S2 in three of the recordings, looked for in DATA; and what the results say.
plots: $(VENV)/.test
	$(BIN)/python docs/beat_plots.py $(DATA)
	$(BIN)/python docs/evaluation_plots.py

pictures: $(VENV)/.runtime
	$(BIN)/python docs/pictures.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Laennec needs Python 3.11 or newer; give it with PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh .ci/system python3-venv || \
	  { echo "python3 can't make virtual environments; install the package python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The run-time only: no torch, no scipy.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt .ci/system | $(BIN)/python
	sh .ci/system libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins tmux chromium
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,test]'
	@touch $@ $(VENV)/.runtime

# One by one: what can't be installed on some machine is skipped there.
$(VENV)/.peers: pyproject.toml constraints.txt $(VENV)/.test
	for peer in $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["peers"])'); do \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$$peer" || \
	  echo "$$peer can't be installed here; what needs it is skipped" >&2; done
	@touch $@
