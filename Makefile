# Everything here needs Python >= 3.11, make and a package registry that pip reaches; nothing else.
PYTHON ?= python3
STORE ?=
PROVE ?=

BIN := .venv/bin
STAMP := .venv/.installed
SOURCES := core adapters tests docs/examples
FIGURES := build/figures

# The steps share one .venv and its caches: `make -j` runs them in their order.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help install check test demo bench verify behaviours kill-matrix mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with every pinned package; again when pyproject.toml or constraints.txt change

# Two variables for one thing: pip before 25.3 reads PIP_CONSTRAINT in its isolated build, later ones the second.
# The stamp comes last, so that an install that broke off is done again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("tenure needs Python 3.11 or later; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear .venv
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@

# The variable keeps pyright from asking the registry whether there is a later pyright.
check: $(STAMP) ## lint, format, types (mypy and pyright), layers, purity
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy --strict $(SOURCES)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python tests/gates/purity.py

# Two things at the same time; what the first one says comes after the second has ended.
define together
	@said=$$(mktemp); { $(1); } > $$said 2>&1 & first=$$!; { $(2); }; second=$$?; \
	wait $$first; first=$$?; cat $$said; rm -f $$said; exit $$((first | second))
endef

# What needs seconds and names what is broken, of stores and driver as well as of the core; the rest is not run where it
# fails. The gates that run tools over planted trees take longer, and see nothing of this.
SMALL := $(filter-out %/test_limits.py,$(wildcard tests/gates/test_*.py)) $(wildcard tests/stores/test_known_bugs_of_*.py) \
	$(wildcard tests/adapters/test_known_bugs_of_*.py tests/adapters/test_turn*.py) \
	$(addprefix tests/adapters/test_,batches.py events_listening.py) \
	$(addprefix tests/stores/test_,broken_batches.py sqlite_waiting.py sqlite_trouble.py sqlite_durable.py)
RULES := tests/stores tests/conformance tests/checking
PLAYED := tests/stateful tests/crashes tests/simulation tests/matrix tests/mutants
without = $(patsubst %,--ignore=%,$(1))
TESTED := $(FIGURES)/core.xml,$(FIGURES)/small.xml,$(FIGURES)/rules.xml,$(FIGURES)/played.xml,$(FIGURES)/rest.xml

CHECKING := $(BIN)/tenure check --jobs 1
RULING := $(BIN)/pytest $(RULES) $(call without,$(filter tests/stores/%,$(SMALL))) --junit-xml=$(FIGURES)/rules.xml
PLAYING := $(BIN)/pytest $(PLAYED) --junit-xml=$(FIGURES)/played.xml
RESTING := $(BIN)/pytest tests $(call without,tests/core $(SMALL) $(RULES) $(PLAYED)) --junit-xml=$(FIGURES)/rest.xml

# From the small to the large, so that a bug is named by the smallest thing that sees it.
test: $(STAMP) ## all tests; the core's own must reach every branch of the core
	mkdir -p $(FIGURES)
	$(BIN)/coverage run -m pytest tests/core --junit-xml=$(FIGURES)/core.xml
	$(BIN)/coverage report
	$(BIN)/pytest -x $(SMALL) --junit-xml=$(FIGURES)/small.xml
	$(call together,$(CHECKING),$(RULING))
	$(call together,$(PLAYING),$(RESTING))
	$(BIN)/tenure simulate --seeds 2000 --complete --json > $(FIGURES)/simulate.json

demo: $(STAMP) ## the standard library through three workers, one killed, one a zombie (STORE=url for a store of your own)
	$(BIN)/tenure demo $(if $(STORE),--store '$(STORE)')

bench: $(STAMP) ## figures of speed and memory; they are printed, never asserted
	$(BIN)/python -m tests.bench.run

verify: test ## what takes hours: large searches, many more seeds and drawn examples, known bugs, breakers of behaviours
	$(BIN)/tenure check --large --json > $(FIGURES)/check.json
	$(BIN)/tenure simulate --seeds 20000 --complete --save build/seeds --json > $(FIGURES)/simulate.json
	$(BIN)/pytest tests --hypothesis-profile=verify
	$(BIN)/python -m tests.behaviour.run --prove
	$(BIN)/python -m tests.matrix.run --json $(FIGURES)/matrix.json
	$(BIN)/python -m tests.verification.run check=$(FIGURES)/check.json simulate=$(FIGURES)/simulate.json \
		matrix=$(FIGURES)/matrix.json tests=$(TESTED)

behaviours: $(STAMP) ## every behaviour and the tests that show it (PROVE=1: and that they fail without it)
	$(BIN)/python -m tests.behaviour.run $(if $(PROVE),--prove)

kill-matrix: $(STAMP) ## known bugs, planted one by one in a copy, and which layer of tests sees each
	mkdir -p $(FIGURES)
	$(BIN)/python -m tests.matrix.run --json $(FIGURES)/matrix.json
	$(BIN)/python -m tests.verification.run matrix=$(FIGURES)/matrix.json

mutants: $(STAMP) ## every small change of the core, and whether a test sees it; some hours
	mkdir -p $(FIGURES)
	$(BIN)/python -m tests.mutants.run --json $(FIGURES)/mutants.json
	$(BIN)/python -m tests.verification.run mutants=$(FIGURES)/mutants.json

clean: ## remove .venv, caches and build output
	rm -rf .venv build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
