# Every developer command. `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/development.txt
PYTHON ?= python3
BASE_URL ?= http://localhost:8000

# tests/conftest.py says how many processes that are, and how tests are spread over them.
PYTEST := $(BIN)/pytest -n auto

.DEFAULT_GOAL := help
.PHONY: help install run demo test check format lock docs clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

install: $(VENV)/installed ## Make .venv and install everything, as locked

$(VENV)/installed: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Countersign needs Python 3.11 or later: make install PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install ## Start the suite on http://localhost:8000; Ctrl-C ends it
	$(BIN)/countersign up --env-file deploy/development.env

demo: install ## Walk through the whole journey against the running suite (BASE_URL)
	BASE_URL=$(BASE_URL) $(BIN)/python examples/demo.py

test: install ## Run all tests; uses PostgreSQL, RabbitMQ and Redis where they answer
	$(PYTEST)

check: install ## Check formatting, style, types and the walls between the parts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: install ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## Write docs/configuration.md and docs/factors.openapi.json from the code
	$(BIN)/countersign configuration > docs/configuration.md
	$(BIN)/countersign factor openapi > docs/factors.openapi.json

lock: ## Choose the newest versions that fit, for every image and for development (needs uv)
	requirements/lock

clean: ## Remove what was installed and cached; var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
