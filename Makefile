# `make demo` and `make test` need Python 3.11, a C++ compiler, make and git; all else they install below this folder.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TESTS ?=
CORPUS ?= botocore
ALGORITHMS := $(notdir $(patsubst %/,%,$(dir $(wildcard containers/*/algorithm.toml))))
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
