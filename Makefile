# `make` lists the targets. Each sets up what it needs: Python 3.11 or newer is all that must be there.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE  ?= qianfan-operator:$(VERSION)
SIMULATOR_IMAGE ?= qianfan-simulator:$(VERSION)
PINNED = $(shell sed -n 's/^ARG BASE=//p' Dockerfile)
ENGINE ?= $(firstword $(foreach engine,docker podman buildah,$(shell command -v $(engine) 2>/dev/null)))

# The tests that start a real control plane, or ask a program that is built first; the others take seconds.
ON_CONTROL_PLANE := $(wildcard tests/status_tools tests/storm tests/admission tests/devcluster tests/e2e tests/packaging/cluster tests/attacks/cluster)

# What is proved in minutes; `release-check` runs the long forms, too. A test compares this with the marker `proof`.
PROOFS := tests/model tests/storm $(addprefix tests/reconcile/,test_crash.py test_pairs.py test_sequences.py) tests/attacks/cluster/test_memory.py tests/e2e/test_informer.py

.DEFAULT_GOAL := help
# Checks in the order written, also with -j.
.NOTPARALLEL:
.PHONY: help init test test-fast test-cluster release-check lint format types crds golden docs demo bench image cluster simulator lock clean

help:           ## List the targets
	@sed -n 's/^\([a-z-]*\):.*##/\1 ##/p' $(MAKEFILE_LIST) | awk -F' ## *' '{ printf "  make %-13s %s\n", $$1, $$2 }'

init: $(READY)  ## Make the virtual environment with the pinned dependencies

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo 'Setting up $(VENV) (this once)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

test: lint types test-fast test-cluster  ## Run every check there is, the quick ones first

test-fast: $(READY)  ## Run the tests that need no control plane
	$(BIN)/python -m pytest -n 2 tests $(addprefix --ignore=,$(ON_CONTROL_PLANE))

test-cluster: $(READY)  ## Run the tests on a real control plane (the first time builds it: minutes)
	@$(BIN)/python -m qianfan_devcluster.binaries
	@PYTHONPATH=tests $(BIN)/python -m status_tools.program
	$(BIN)/python -m pytest -n 3 $(ON_CONTROL_PLANE)

release-check: $(READY)  ## The long proofs: nothing is paid twice (model, pairs, sequences, 200 kills), memory stays bounded
	@$(BIN)/python -m qianfan_devcluster.binaries
	$(BIN)/python -m pytest -n 2 -m "" $(PROOFS)

lint: $(READY)  ## Check style, formatting and the contracts between modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=operator $(BIN)/lint-imports

format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(READY)  ## Check the types
	$(BIN)/mypy

crds: $(READY)  ## Write crds/*.yaml from the models
	$(BIN)/python -m qianfan_operator.api.crds

golden: $(READY)  ## Write what objects say in every situation (tests/golden, deploy/argocd)
	PYTHONPATH=tests $(BIN)/python -m reconcile.golden
	PYTHONPATH=tests $(BIN)/python -m argocd

docs: $(READY)  ## Write the generated tables into the documents
	PYTHONPATH=tests $(BIN)/python docs/generate.py

# A cluster of yours must be named here: the demo writes into it, and most shells have a KUBECONFIG for other work.
YOURS = $(if $(filter command,$(origin KUBECONFIG)),--kubeconfig '$(KUBECONFIG)')

demo: $(READY)  ## From manifests to an endpoint, no account needed (KEEP=1 leaves it running; KUBECONFIG=... uses your cluster)
	@$(BIN)/python -m qianfan_devcluster.demo $(if $(KEEP),--keep) $(YOURS) $(DEMO)

bench: $(READY)  ## Measure latency, memory, CPU and writes
	$(BIN)/python bench

image:          ## Build both images with docker, podman or buildah (BASE=name@sha256:... takes another base)
	@test -n "$(ENGINE)" || { echo "No container engine: install docker, podman or buildah" >&2; exit 1; }
	@echo '$(or $(BASE),$(PINNED))' | grep -Eq '@sha256:[0-9a-f]{64}$$' \
	  || { echo "BASE must name the base by its digest: BASE=name@sha256:..." >&2; exit 1; }
	$(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE) )--tag $(IMAGE) .
	$(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE) )--target simulator --tag $(SIMULATOR_IMAGE) .

cluster: $(READY)  ## Start a throw-away control plane with the definitions, until Ctrl-C
	@$(BIN)/python -m qianfan_devcluster --crds crds

simulator: $(READY)  ## Start the simulated cloud, until Ctrl-C
	@$(BIN)/python -m qianfan_simulator --port 8900

lock:           ## Renew constraints.txt with the newest versions that fit, and their hashes
	@set -e; new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	$(PYTHON) -m venv "$$new/venv"; "$$new/venv/bin/python" -m pip install --quiet uv; \
	sed -n '/^#/p' constraints.txt > "$$new/pins"; \
	printf 'hatchling\npip\n' | "$$new/venv/bin/uv" pip compile pyproject.toml - --extra dev --upgrade --quiet \
	  --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url >> "$$new/pins"; \
	cp "$$new/pins" constraints.txt; git --no-pager diff --stat -- constraints.txt

clean:          ## Remove what was made here (the control plane's binaries stay in the user's cache)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find operator tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
