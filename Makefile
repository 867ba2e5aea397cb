# `make demo` and `make test` need Python 3.11, a C++ compiler, make and git; all else they install below this folder.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORPUS ?= botocore
RUNNER ?= process
# Of `make images`: one algorithm, or all; GPU=1 builds what trains on a GPU. Of `make base-image`: a folder of wheels.
ALGORITHM ?=
GPU ?=
WHEELS ?=
# Of `make check-security`: pip-audit's options, such as --vulnerability-service osv.
AUDIT ?=
TESTS ?=
# Of `make benchmark-fairseq`: a folder of parallel text.
DATA ?=
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/kindling.txt)
# Compiled now, once: a start of the embedded cloud imports a thousand modules, and some systems keep none compiled.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python
PACKAGES := kindling stacks lambdas containers tests benchmarks examples app.py account.py
ALGORITHMS := $(patsubst containers/%/algorithm.toml,%,$(wildcard containers/*/algorithm.toml))
# Algorithms' tests run in the algorithms' own environments, the rest in .venv.
HOUSE_TESTS := tests containers/contract
# Of the process runner's tests those that run with the docker runner, too; with KINDLING_RUNNER=docker all of them can.
IN_CONTAINERS := $(addprefix tests/localcloud/sagemaker/test_,training.py training_inputs.py training_outputs.py \
	training_spot.py processing.py pipes.py endpoints.py multi_model.py transform.py killed_server.py)
# The fast tests, side by side, and what takes longest first: the CDK's synthesis.
FAST := test-fast-stacks test-fast-unit
VERIFICATION := tests/containers/test_verification.py
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup setup-tests setup-clients demo images base-image test test-fast test-slow test-containers test-images test-jobs-in-containers check check-security format lint types docs lock benchmark-word2vec benchmark-supervised benchmark-serving benchmark-fairseq benchmark-gluon-fasttext benchmark-linear-learner clean

help:  ## What can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: .venv/.house node_modules/.package-lock.json  ## .venv with the kindling command, Node, the CDK and the algorithms' environments
	@$(BIN)/python -m kindling.environments

.venv/.uv: requirements/kindling.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "Kindling needs Python 3.11, but $(PYTHON) is $$($(PYTHON) -V); set PYTHON=/path/to/python3.11." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv"; $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.house: .venv/.uv pyproject.toml containers/contract/pyproject.toml
	@echo "installing the packages of requirements/kindling.txt"
	@$(INSTALL) --require-hashes -r requirements/kindling.txt
	@$(INSTALL) --no-deps -e . -e containers/contract
	@touch $@

.venv/.tests: .venv/.house requirements/dev.txt
	@echo "installing the packages of requirements/dev.txt"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json .venv/.house
	@echo "installing the CDK command line"
	@npm ci --silent --ignore-scripts
	@touch $@

setup-tests: setup .venv/.tests
	@$(BIN)/python -m kindling.environments --tests

setup-client-%: .venv/.house
	@$(BIN)/python -m kindling.environments --clients client-$*

setup-clients: setup-client-awscli setup-client-sagemaker-v2 setup-client-sagemaker-v3

demo: setup  ## Deploy to the embedded cloud, train word vectors, evaluate, serve and query them (CORPUS=botocore|text8|path, RUNNER=process|docker)
	@$(BIN)/kindling demo --corpus '$(CORPUS)' --runner '$(RUNNER)'

images: .venv/.house  ## Build the algorithms' images (ALGORITHM=name for one, GPU=1 for what trains on a GPU); needs a Docker engine
	@$(BIN)/python -m kindling.image_builds images $(ALGORITHM) $(if $(GPU),--gpu)

base-image: .venv/.house  ## Make the images' base of Debian's packages, where none can be pulled (WHEELS=folder of wheels); needs root
	@$(BIN)/python -m kindling.image_builds base $(if $(WHEELS),--wheels '$(WHEELS)')

test: setup-tests setup-client-sagemaker-v2  ## All tests but the slow ones (TESTS=folder runs one folder's)
	@TESTS='$(TESTS)' $(BIN)/python -m tests.run

check: setup-tests format lint  ## Format, lint, types and the fast tests: before each commit
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(FAST) types

check-security: .venv/.tests  ## Look up every locked package in a database of known vulnerabilities; needs the network
	@$(BIN)/python -m kindling.lock_audit $(AUDIT)

format:
	@$(BIN)/ruff format --quiet $(wildcard $(PACKAGES))

lint:
	@$(BIN)/ruff check --quiet $(wildcard $(PACKAGES))

types:
	@$(BIN)/mypy --no-error-summary

test-fast:
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(FAST)

test-fast-%:
	@$(BIN)/python -m tests.run --fast tests/$*

test-slow: setup-tests setup-clients  ## The tests that take minutes
	@$(BIN)/python -m tests.run --slow

test-containers: setup-tests setup-client-sagemaker-v2  ## Build and run the images, and the embedded cloud with them; needs a Docker engine
	@if docker info >/dev/null 2>&1; then \
		$(BIN)/python -m kindling.image_builds base --if-needed; \
		$(BIN)/python -m kindling.image_builds images; \
		$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-images test-jobs-in-containers; \
	else echo "No Docker engine answers: the tests of the images were not run."; fi

# Side by side, for most of them wait for containers; either takes about as long as the other.
test-images:
	@$(BIN)/python -m tests.run $(filter-out $(VERIFICATION),$(wildcard tests/containers/test_*.py))

test-jobs-in-containers:
	@KINDLING_RUNNER=docker $(BIN)/python -m tests.run $(IN_CONTAINERS) $(VERIFICATION)

docs: .venv/.house node_modules/.package-lock.json  ## Write the tables of docs/ from the algorithms' descriptions, the templates and the embedded cloud
	@$(BIN)/python -m kindling.reference
	@$(BIN)/python -m kindling.localcloud.sagemaker.coverage
	@$(BIN)/python -m kindling.iam_matrix

benchmark-word2vec: setup-tests  ## Our word2vec beside gensim's and fastText's, into docs/performance.md; the machine must be quiet
	@$(BIN)/python -m benchmarks.word2vec --table first
	@$(BIN)/python -m benchmarks.word2vec --table second
	@$(BIN)/python -m benchmarks.scaling
	@$(BIN)/python -m benchmarks.performance_page

benchmark-supervised: setup-tests  ## Our text classification beside the fastText package's
	@$(BIN)/python -m benchmarks.supervised

benchmark-serving: setup-tests  ## Our endpoint beside a plain server around the fastText package; needs wrk and a quiet machine
	@$(BIN)/python -m benchmarks.serving

benchmark-fairseq: setup-tests  ## Our translator beside fairseq's own programs (DATA=folder with train, dev and test of both languages)
	@$(BIN)/python -m benchmarks.fairseq --data '$(DATA)'

benchmark-gluon-fasttext: setup-tests  ## Our Gluon fastText beside GluonNLP's script's approach and the fastText package
	@$(BIN)/python -m benchmarks.gluon_fasttext

benchmark-linear-learner: setup-tests  ## Our Linear Learner beside scikit-learn and Vowpal Wabbit, and its two ways to distribute data
	@$(BIN)/python -m benchmarks.linear_learner

lock: .venv/.uv  ## Resolve every lock file again
	@for file in requirements/kindling requirements/dev $(basename $(wildcard requirements/client-*.in)) $(foreach a,$(ALGORITHMS),containers/$(a)/requirements containers/$(a)/requirements-test containers/$(a)/requirements-gpu); do \
		overrides=$$(dirname $$file)/requirements-overrides.txt; \
		test ! -f $$file.in || $(UV) pip compile --quiet --upgrade --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header $$(test ! -f $$overrides || echo --override $$overrides) $$file.in -o $$file.txt; done

clean:  ## Remove all that was made here
	@test ! -x $(BIN)/kindling || $(BIN)/kindling down || true
	rm -rf .venv .venvs .kindling node_modules cdk.out build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
