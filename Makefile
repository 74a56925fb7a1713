PYTHON ?= python3
BIN := .venv/bin
CLIENT := clients/typescript
FRONTENDS := tests/frontends
DEMO := examples/demo
ARGS ?=
CHROMIUM ?= chromium

.DEFAULT_GOAL := help
.PHONY: help run demo test drill browser-test chromium client frontend-test node bench bench-quick lint format audit openapi lock image clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/'

# Make passes variables of its command line on: PORT=9000, SERVER=granian.
run: $(if $(filter granian,$(SERVER)),.venv/granian,.venv/run) .env ## install, migrate, serve http://127.0.0.1:8000 and print a first request
	@$(BIN)/flask db upgrade
	@$(BIN)/flask welcome
	@exec $(BIN)/python deploy/serve.py

demo: node .venv/run $(CLIENT)/dist $(DEMO)/node_modules ## run a todo app with sign-in on http://localhost:3000; needs Node.js
	@exec $(BIN)/python $(DEMO)/run.py $(if $(PORT),--port $(PORT)) $(ARGS)

test: .venv/dev ## install and run the tests on SQLite and PostgreSQL; ARGS goes to pytest
	@$(BIN)/pytest -n logical --dist worksteal $(ARGS)

drill: .venv/dev ## break databases, workers and disks under steady load and print the results
	@$(BIN)/pytest tests/drills -rs $(ARGS)

browser-test: chromium node .venv/browser $(CLIENT)/dist $(DEMO)/node_modules ## test /docs, the demo and a page of another origin in Chromium; CHROMIUM names the program; needs Node.js
	@CHROMIUM="$$(command -v "$(CHROMIUM)")" $(BIN)/pytest tests/browser $(ARGS)

chromium:
	@command -v "$(CHROMIUM)" >/dev/null || { \
	  echo "Chromium was not found. Install it (apt-get install chromium) or run: make browser-test CHROMIUM=/path/to/chromium" >&2; exit 1; }

lint: .venv/dev ## check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

format: .venv/dev ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

audit: .venv/dev ## look up known vulnerabilities of the pinned packages; needs https://pypi.org
	@$(BIN)/uvx pip-audit@2.10.1 --strict --no-deps --disable-pip --requirement requirements.txt \
	  || { echo "make audit reports vulnerabilities above; without access to https://pypi.org it cannot look them up." >&2; exit 1; }

openapi: .venv/dev ## regenerate docs/openapi.json
	@BETTER_AUTH_SECRET=$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(32))') BETTER_AUTH_URL= JWT_JWKS_URL= \
	  $(BIN)/flask openapi --output docs/openapi.json

client: node .venv/dev ## build and test the TypeScript package and a generated Python client; needs Node.js
	@rm -rf clients/generated $(CLIENT)/*.tgz
	@cd $(CLIENT) && npm ci --silent && npm run --silent lint && npm pack --silent && npm run --silent compile
	@$(BIN)/uvx openapi-python-client@0.29.1 generate --fail-on-warning --path docs/openapi.json \
	  --output-path clients/generated/tasks-api-client
	@$(BIN)/python -m tests.client

frontend-test: node .venv/dev ## run frontends and Better Auth against a live server; needs Node.js
	@cd $(FRONTENDS) && npm ci --silent
	@$(BIN)/pytest $(FRONTENDS) $(ARGS)

node:
	@{ node -v && npm -v; } >/dev/null 2>&1 || { \
	  echo "Node.js 20.19 or later with npm is required: https://nodejs.org/en/download" >&2; exit 1; }

bench: .venv/dev .venv-bench/done bench/fastify/node_modules ## compare with FastAPI and Fastify and update docs/performance.md
	@$(BIN)/python -m bench.run
	@$(BIN)/python -m bench.growth
	@$(BIN)/python -m bench.experiments
	@$(BIN)/python -m bench.batches

bench-quick: .venv/dev .venv-bench/done ## compare in under two minutes; fails below three quarters of a goal
	@$(BIN)/python -m bench.run --quick

lock: .venv/dev ## upgrade the pinned versions of all requirements
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" --extra granian -c requirements.txt pyproject.toml -o requirements-granian.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" --extra granian --extra dev -c requirements-granian.txt pyproject.toml -o requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" --extra granian --extra dev --extra browser -c requirements-dev.txt pyproject.toml \
	  -o tests/browser/requirements.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" -c requirements.txt bench/requirements.in -o bench/requirements.txt

image: ## build the container image, labelled with the version from pyproject.toml
	@version=$$($(PYTHON) -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])') && \
	  docker build --label org.opencontainers.image.version=$$version --tag tasks-api:$$version --tag tasks-api .

clean: ## remove what the other targets created; keeps .env and the data in instance/
	rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis clients/generated $(CLIENT)/dist $(CLIENT)/generated
	rm -rf $(CLIENT)/node_modules $(FRONTENDS)/node_modules $(DEMO)/node_modules bench/fastify/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is required. Choose one with: make PYTHON=python3.12 …")'
	@echo "Creating .venv …"
	@$(PYTHON) -m venv .venv

.venv/run: requirements.txt | .venv/bin/python
	@echo "Installing the packages to run the service …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/granian: requirements-granian.txt | .venv/bin/python
	@echo "Installing the packages to run the service on granian …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-granian.txt
	@touch $@

.venv/dev: requirements-dev.txt | .venv/bin/python
	@echo "Installing the packages to test the service …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/browser: tests/browser/requirements.txt .venv/dev
	@echo "Installing the packages to test in a browser …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r tests/browser/requirements.txt
	@touch $@

.venv-bench/done: bench/requirements.txt | .venv/bin/python
	@echo "Installing the packages of the FastAPI peer and for charts …"
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

$(CLIENT)/dist: $(CLIENT)/package-lock.json $(CLIENT)/tsconfig.json $(filter-out %/schema.ts,$(wildcard $(CLIENT)/src/*.ts)) docs/openapi.json
	@echo "Building the TypeScript client …"
	@cd $(CLIENT) && npm ci --silent && npm run --silent build >/dev/null && touch dist

$(DEMO)/node_modules: $(DEMO)/package-lock.json
	@echo "Installing the packages of the demo …"
	@cd $(DEMO) && npm ci --silent && touch node_modules

bench/fastify/node_modules: bench/fastify/package-lock.json
	@if command -v npm >/dev/null; then cd bench/fastify && npm ci --silent && touch node_modules; \
	  else echo "Node.js with npm is missing: Fastify is left out." >&2; fi

.env:
	@umask 077 && $(PYTHON) deploy/new_env.py > $@.new && mv $@.new $@
	@echo "Created .env. It lists the origins of frontends that may call the service (CORS_ORIGINS):"
	@echo "ports 3000, 5173 and 8080 of localhost and 127.0.0.1. Add yours if it is another one."
