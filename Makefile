# `make` or `make help` lists the targets. `make test` and `make demo` do all their set-up themselves.

SHELL      := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What may be changed from the command line, e.g. `make fuzz FUZZTIME=1m`.
DEMOS      ?= hello embed sqlite wordcount mandelbrot fleet
FUZZTIME   ?= 10s
ROUNDS     ?= 7
CHAOS      ?= 110s
POOL_CHAOS ?= 60s
DURATION   ?= 30m
PYTHON     ?= /usr/bin/python3
TEST_FLAGS ?= -count=1 -timeout 10m
# The short raced run and the run on one processor, both part of `make test`.
RACE_DIRS   ?= actors bridge supervision patterns test/e2e
SINGLE_DIRS ?= actors bridge supervision

GOVERSION := $(shell go env GOVERSION 2>/dev/null)
TOOLS     := bin/tools/$(GOVERSION)
# An error text may begin with the name of a field, which is capitalised; so not ST1005.
STATICCHECKS := inherit,-ST1005
CFLAGS    ?= -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror

go_dirs      := $(wildcard actors bridge supervision patterns cmd examples test)
packages      = $(patsubst %,./%/...,$(wildcard $(1)))
c_sources    := $(wildcard test/bench/c/*.c)
python_files := $(wildcard examples/*/*.py examples/*/*/*.py)
# Debian keeps nats-server where ordinary users do not look.
export PATH  := $(PATH):/usr/sbin

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup setup-bench
setup: ## Install what is missing (libzmq, pkg-config, pyzmq), or say how
	@.ci/setup.sh

setup-bench:
	@.ci/setup.sh bench

.PHONY: build demo
build: setup ## Build bin/troupe and bin/primed
	go build -o bin/ ./cmd/troupe ./cmd/primed

demo: build ## Run the examples: interleaved database sessions, one thread each
	for demo in $(DEMOS); do go run ./examples/$$demo; done

.PHONY: test test-all test-race test-single race fuzz
test: setup ## Everything a change must pass: fast linters, all tests, raced, and on one processor
	@$(MAKE) --no-print-directory lint-fast
	@$(MAKE) --no-print-directory test-all
	@$(MAKE) --no-print-directory test-race
	@$(MAKE) --no-print-directory test-single

test-all:
	go test $(TEST_FLAGS) ./...

test-race:
	go test -race -short $(TEST_FLAGS) $(call packages,$(RACE_DIRS))

test-single:
	GOMAXPROCS=1 go test -short $(TEST_FLAGS) $(call packages,$(SINGLE_DIRS))

race: setup ## All tests, not shortened, under the race detector
	go test -race $(TEST_FLAGS) ./...

.PHONY: large
large: setup ## Bodies of 2 GiB through every kind of process, whose memory is watched (minutes)
	LARGE=1 go test $(TEST_FLAGS) -v -run TestABodyLargerThanAllWindows ./test/e2e

fuzz: setup ## Run every Fuzz function for FUZZTIME (10s)
	.ci/fuzz.sh $(FUZZTIME)

.PHONY: chaos chaos-long chaos-busy
chaos: setup ## Random faults for about 3 minutes, SEED=n repeats; chaos.json and chaos-pool.json say what came of it
	CHAOS_DURATION=$(CHAOS) CHAOS_REPORT=$(CURDIR)/chaos.json go test -count=1 -timeout 15m -v -run '^TestChaos$$' ./test/chaos
	CHAOS_DURATION=$(POOL_CHAOS) CHAOS_POOL_REPORT=$(CURDIR)/chaos-pool.json go test -count=1 -timeout 15m -v -run '^TestPoolChaos$$' ./test/chaos
	CHAOS_MUTANTS=1 go test -count=1 -timeout 15m -run 'Mutants' ./test/chaos

chaos-long: setup ## The same for DURATION (30m) each
	CHAOS_DURATION=$(DURATION) CHAOS_REPORT=$(CURDIR)/chaos.json go test -count=1 -timeout 0 -v -run '^TestChaos$$' ./test/chaos
	CHAOS_DURATION=$(DURATION) CHAOS_POOL_REPORT=$(CURDIR)/chaos-pool.json go test -count=1 -timeout 0 -v -run '^TestPoolChaos$$' ./test/chaos

chaos-busy: setup ## A million calls while every core is kept busy: no verdict may come
	CHAOS_BUSY=1000000 CHAOS_REPORT=$(CURDIR)/chaos-busy.json go test -count=1 -timeout 0 -v -run '^TestBusy$$' ./test/chaos

.PHONY: bench bench-quick
bench: setup-bench ## Measure against the peers over ROUNDS (7) rounds and rewrite bench.json
	go run ./test/bench -rounds $(ROUNDS)

bench-quick: setup-bench ## The same with fewer rounds
	go run ./test/bench -quick

.PHONY: lint lint-fast lint-c lint-python lint-shell arch docs-check
lint: setup $(TOOLS)/golangci-lint ## The full set of linters (builds golangci-lint once: minutes)
	@$(MAKE) --no-print-directory lint-fast
	$(TOOLS)/golangci-lint fmt --diff -c .ci/golangci.yml
	$(TOOLS)/golangci-lint run -c .ci/golangci.yml ./...

lint-fast: setup $(TOOLS)/gofumpt $(TOOLS)/staticcheck lint-c lint-python lint-shell arch ## The linters that every test run includes
	@unformatted=$$($(TOOLS)/gofumpt -l $(go_dirs)); \
	if [ -n "$$unformatted" ]; then \
		printf 'gofumpt: not formatted, run: $(TOOLS)/gofumpt -w %s\n' $$unformatted >&2; exit 1; \
	fi
	go vet ./...
	$(TOOLS)/staticcheck -checks $(STATICCHECKS) ./...

lint-c:
	@for source in $(c_sources); do gcc $(CFLAGS) $$(pkg-config --cflags libzmq) -c -o /dev/null $$source; done

lint-python:
	@for source in $(python_files); do PYTHONPYCACHEPREFIX=bin/pycache $(PYTHON) -m py_compile $$source; done

lint-shell:
	@for script in .ci/run .ci/*.sh; do bash -n $$script; done

arch: setup ## The import fence, purity of the machines, sizes, layout
	go test $(TEST_FLAGS) ./test/arch/...

docs-check: setup ## Links between documents lead somewhere, exported names are documented
	go test $(TEST_FLAGS) -run 'Docs' ./test/arch/...

.PHONY: clean
clean: ## Remove what was built; cached tools too
	rm -rf bin coverage test/bench/tmp test/bench/c/bin

# Tools are pinned in modules of their own and built once per Go version.
$(TOOLS)/staticcheck: .ci/tools/go.mod
	cd .ci/tools && go build -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck
	@touch $@

$(TOOLS)/gofumpt: .ci/tools/go.mod
	cd .ci/tools && go build -o $(CURDIR)/$@ mvdan.cc/gofumpt
	@touch $@

$(TOOLS)/golangci-lint: .ci/golangci/go.mod
	cd .ci/golangci && go build -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
