# Every target does its own set-up. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
JOBS ?= 2
KEEP ?=
GRAFANA_URL ?=
UPGRADE ?= --upgrade

BIN := $(VENV)/bin
READY := $(VENV)/.ready
PINS := pyproject.toml stack/pyproject.toml requirements/dev.txt requirements/bench.txt requirements/compiler.txt
SPEEDUPS := speedups/pyproject.toml speedups/setup.py $(wildcard speedups/*.c speedups/*.h)
MAKEFLAGS += --no-builtin-rules --no-print-directory --warn-undefined-variables
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup tools format lint types test fuzz demo site docs build alerts dashboards collector chart page bench mutants soak compat cluster check dist charts wheels sbom audit constraints clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Create the environment in .venv; PYTHON=... uses another Python than python3.

$(READY): $(PINS) $(SPEEDUPS) requirements/constraints.txt requirements/bootstrap.sh requirements/compiler.sh \
		stack/hatch_build.py instrumentation/version.py
	@PYTHON='$(PYTHON)' sh requirements/bootstrap.sh $(VENV)
	@touch $@

tools: setup ## Get Prometheus, Alertmanager, Helm and the collector into a cache outside the repository.
	@$(BIN)/sidelight tools

format: setup ## Format the code and apply the linter's automatic fixes.
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lint: setup ## Lint the code, the prose and the messages of commits, and check the formatting.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m lint.prose
	@.ci/commits $(abspath $(BIN))/gitlint

types: setup ## Check the types.
	@$(BIN)/mypy

test: setup tools ## Run all tests; ARGS='-k name' selects some.
	@$(BIN)/pytest -m serial $(ARGS); first=$$?; [ $$first -eq 0 ] || [ $$first -eq 5 ] || exit $$first; \
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m 'not serial' $(ARGS); second=$$?; \
	[ $$second -eq 5 ] && exit $$first; exit $$second  # 5: none was selected; that fails only if both say it

# The demo needs few packages. Unless the development environment is there already, it gets one of its own in seconds.
ifeq ($(wildcard $(READY)),)
DEMO := $(VENV)-demo
$(DEMO)/.ready: pyproject.toml stack/pyproject.toml requirements/constraints.txt requirements/bootstrap.sh
	@PYTHON='$(PYTHON)' sh requirements/bootstrap.sh $(DEMO) demo
	@touch $@
else
DEMO := $(VENV)
endif

demo: $(DEMO)/.ready ## Watch a service fail, alert and recover; KEEP=1 leaves it running.
	@$(DEMO)/bin/sidelight demo $(if $(KEEP),--keep) $(ARGS)

DOCS := $(VENV)-docs
SITE ?= dist/site
SPHINX := -c docs --fail-on-warning --keep-going --doctree-dir $(DOCS)/doctrees --quiet . $(SITE)
$(DOCS)/.ready: requirements/docs.txt requirements/constraints.txt requirements/bootstrap.sh
	@PYTHON='$(PYTHON)' sh requirements/bootstrap.sh $(DOCS) docs
	@touch $@

site: $(DOCS)/.ready ## Build the documentation as a site in dist/site; a broken link fails.
	@$(DOCS)/bin/sphinx-build $(SPHINX)

docs: $(DOCS)/.ready ## Serve the documentation on http://127.0.0.1:8000, and build again what changes.
	@$(DOCS)/bin/sphinx-autobuild --ignore '*/.*' --ignore '*/$(SITE)/*' $(SPHINX) $(ARGS)

build: setup ## Generate all files from the catalog and sidelight.yaml.
	@$(BIN)/sidelight build alerts dashboards collector chart $(ARGS)
	@$(BIN)/python -m reference

alerts: setup ## Generate the alert rules, their tests and the Alertmanager configuration.
	@$(BIN)/sidelight build alerts $(ARGS)

dashboards: setup ## Generate the dashboards, and publish them if GRAFANA_URL is set.
	@$(BIN)/sidelight build dashboards $(ARGS)
	@$(if $(GRAFANA_URL),$(BIN)/sidelight publish)

collector: setup ## Generate the collector's configurations.
	@$(BIN)/sidelight build collector $(ARGS)

chart: setup ## Generate the Helm chart's files.
	@$(BIN)/sidelight build chart $(ARGS)

page: setup ## Build the page of sidelight view from its TypeScript.
	@$(BIN)/python -m sidelight.view.bundle

bench: setup ## Measure the overhead of instrumentation.
	@$(BIN)/pytest -q tests/bench
	@$(BIN)/python -m benchmarks $(ARGS)

mutants: setup ## Change the code in small places and see which changes the unit tests find; ARGS='--area store'.
	@$(BIN)/python -m benchmarks.mutants $(ARGS)

soak: setup ## Run four workers under load and kill one every two seconds; ARGS='--server gunicorn --seconds 600'.
	@$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: setup ## Fuzz the parsers; ARGS='--seconds 600 --target settings'.
	@$(BIN)/python -m tests.fuzz $(ARGS)

compat: setup ## Run other projects' tests and real applications with Sidelight; ARGS='starlette mcp'.
	@$(BIN)/python -m tests.compat $(ARGS)

cluster: setup ## Install the charts into a real control plane of Kubernetes, and write docs/reference/cluster.md.
	@$(BIN)/python -m tests.cluster $(ARGS)

check: lint types ## Check everything except the tests: lint, types, settings.
	@$(BIN)/sidelight check

dist: setup ## Build wheels and sdists of the three distributions into dist/.
	@$(BIN)/python -m build --no-isolation --outdir dist .
	@$(BIN)/python -m build --no-isolation --outdir dist stack
	@sh requirements/compiler.sh $(VENV) $(BIN)/python -m build --no-isolation --outdir dist speedups

charts: setup ## Package both charts into dist/, for `helm push` or a chart repository.
	@"$$($(BIN)/python -c 'from sidelight.toolchain import tool; print(tool("helm"))')" package helm/sidelight helm/sidelight-sidecar --destination dist

RELEASE := $(VENV)-release
$(RELEASE)/.ready: requirements/release.txt requirements/constraints.txt requirements/bootstrap.sh
	@PYTHON='$(PYTHON)' sh requirements/bootstrap.sh $(RELEASE) release
	@touch $@

wheels: $(RELEASE)/.ready ## Build the wheels of the C extension for many systems into dist/; needs a container engine on Linux.
	@$(RELEASE)/bin/cibuildwheel --output-dir dist speedups

sbom: dist $(RELEASE)/.ready ## Write the bills of materials of the wheels into dist/, and check what is in dist/.
	@$(RELEASE)/bin/twine check --strict dist/*.whl dist/*.tar.gz
	@sh requirements/sbom.sh $(RELEASE) dist

audit: $(RELEASE)/.ready ## Look for known vulnerabilities in the pinned packages; asks PyPI.
	@$(RELEASE)/bin/pip-audit --requirement requirements/constraints.txt --no-deps --disable-pip $(ARGS)

constraints: setup ## Pin the newest versions in constraints.txt; UPGRADE= keeps pins that still fit.
	@$(BIN)/uv pip compile $(PINS) requirements/docs.txt requirements/release.txt --extra tracing --extra tracing-grpc --extra patterns --extra demo --universal --python-version 3.11 \
		$(UPGRADE) --quiet --override requirements/ourselves.txt --no-emit-package sidelight \
		--custom-compile-command 'make constraints' --no-annotate --no-emit-index-url \
		--output-file requirements/constraints.txt

clean: ## Remove the environment, dist/ and every cache in the repository.
	@rm -rf $(VENV) $(VENV)-demo $(VENV)-docs $(VENV)-release dist speedups/build speedups/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
