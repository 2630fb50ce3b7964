# `make demo` and `make test` are each enough on a bare Debian 12 with root: they install what is missing first.
# Stamps in .stamps/ make the second run quick; `make clean` forgets them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help root demo test unit check format install clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: root $(STAMPS)/lab ## Bring up three hosts and show what works (root).
	$(BIN)/ovine demo

root:
	@tools/need-root "make demo" "network namespaces and Open vSwitch"

# Tests of one file or class share their labs, so they stay in one process. Many wait for packets: three keep two
# cores busy.
test: $(STAMPS)/dev ## Run all tests; those that send packets need root.
	@tools/need-root --note "make test" "the tests that send packets; they are skipped"
	$(BIN)/pytest -n $(JOBS) --dist loadscope tests

unit: $(STAMPS)/python-dev ## Run the tests of the pure parts; needs Python only.
	$(BIN)/pytest -n $(JOBS) --dist loadscope tests/unit

check: $(STAMPS)/python-dev ## Style, types and layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMPS)/python-dev ## Format all code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(STAMPS)/dev ## Install everything, and nothing else.

clean: ## Forget what is installed, and remove the virtual environment.
	rm -rf $(VENV) $(STAMPS)

$(STAMPS)/lab: $(STAMPS)/system-lab $(STAMPS)/python-lab
	@touch $@

$(STAMPS)/dev: $(STAMPS)/system-dev $(STAMPS)/python-dev
	@touch $@

# Programs; for the tests also Debian's own OVN daemons, beside which ours must work.
$(STAMPS)/system-%: tools/install-system
	@mkdir -p $(STAMPS)
	tools/install-system $*
	@touch $@

# The virtual environment with one of the package's extras.
$(STAMPS)/python-%: pyproject.toml tools/install-python tools/install-system
	@mkdir -p $(STAMPS)
	PYTHON=$(PYTHON) tools/install-python $(VENV) $*
	@touch $@
