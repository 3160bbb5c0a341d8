# Every developer command. `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/development.txt
PYTHON ?= python3
AXE := tests/browser/axe/node_modules/axe-core/axe.min.js
BASE_URL ?= http://localhost:8000

# What Python has compiled is kept, whatever the environment says: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

# tests/conftest.py says how many processes that are, and how tests are spread over them.
PYTEST := $(BIN)/pytest -n auto

.DEFAULT_GOAL := help
.PHONY: help install run demo test test-long test-browser screenshots messages chaos-audit bench bench-check bench-audit bench-privacyidea check format lock docs clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-17s %s\n", $$1, $$2}'

install: $(VENV)/installed ## Make .venv and install everything, as locked

$(VENV)/installed: $(LOCK) pyproject.toml packages/countersign-events/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Countersign needs Python 3.11 or later: make install PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable packages/countersign-events --editable .
	@touch $@

run: install ## Start the suite on http://localhost:8000; Ctrl-C ends it
	$(BIN)/countersign up --env-file deploy/development.env

demo: install ## Walk through the whole journey against the running suite (BASE_URL)
	BASE_URL=$(BASE_URL) $(BIN)/python examples/demo.py

test: install ## Run all tests but the long ones; uses PostgreSQL, RabbitMQ and Redis where they answer
	$(PYTEST)

test-long: install ## Run the long tests: whole suites of processes, and every case of what has many
	$(PYTEST) -m long

test-browser: install $(AXE) ## Walk through all pages in Chromium, and hold them against WCAG 2.2 (needs npm)
	$(PYTEST) -m '' tests/browser

screenshots: install ## Take pictures of the pages into docs/screenshots/ (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots docs/screenshots

$(AXE): tests/browser/axe/package-lock.json
	npm ci --silent --prefix tests/browser/axe
	@touch $@

chaos-audit: install ## Kill every part of the audit trail with -9, and count what is lost
	CHAOS=1 $(BIN)/pytest tests/chaos

bench: $(VENV)/bench ## Measure against django-allauth and our limits, into docs/performance.md (needs PostgreSQL)
	$(BIN)/python -m bench

bench-check: $(VENV)/bench ## Measure again, and fail if anything has become slower than it was recorded
	$(BIN)/python -m bench check

bench-privacyidea: $(VENV)/bench .venv-privacyidea/installed ## Measure a TOTP check against privacyIDEA, into docs/performance.md
	$(BIN)/python -m bench.privacyidea

bench-audit: install ## Measure the audit trail, into docs/performance.md (needs PostgreSQL and RabbitMQ)
	$(BIN)/python -m bench.audit

.venv-privacyidea/installed: requirements/privacyidea.txt
	$(PYTHON) -m venv .venv-privacyidea
	.venv-privacyidea/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/privacyidea.txt
	@touch $@

$(VENV)/bench: $(VENV)/installed requirements/bench.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

check: install ## Check formatting, style, types and the walls between the parts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: install ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## Write the pages that follow from the code: settings, factors, events
	$(BIN)/countersign configuration > docs/configuration.md
	$(BIN)/countersign factor openapi > docs/factors.openapi.json
	$(BIN)/countersign catalogue > docs/events.md
	$(BIN)/countersign catalogue --form schemas > docs/events.schema.json
	$(BIN)/countersign catalogue --form asyncapi > docs/events.asyncapi.json
	$(BIN)/countersign catalogue --form python > packages/countersign-events/countersign_events/types.py

messages: install ## Bring the catalogues of translations up to date; what is new in them is to be translated
	$(BIN)/python -m tests.translations

lock: ## Choose the newest versions that fit, for every image and for development (needs uv)
	requirements/lock

clean: ## Remove what was installed and cached; var/ stays
	rm -rf $(VENV) .venv-privacyidea .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
