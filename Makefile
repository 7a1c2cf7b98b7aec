# kubetape. `make help` lists what there is; README.md says which two to begin with.

GO      ?= go
BIN     := bin
CACHE   := .cache
LINT    := $(GO) tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run --config $(CURDIR)/.golangci.yml
# What the tests of either module may take; a hung one is shown with its stacks.
TIMEOUT ?= 20m
# Flags for `go test`, such as RUN='-run Exact -v'.
RUN     ?=

.DEFAULT_GOAL := help
.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## record real sessions on this machine, list, replay and verify them (root)
	@cd testenv && $(GO) run ./cmd/demo

.PHONY: build
build: ## the programs, into bin/
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -o $(BIN)/ ./cmd/...

.PHONY: test
test: ## everything, both modules; with root and BPF where there is root and BPF
	@scripts/deps.sh test || [ "$$KUBETAPE_REQUIRE" != all ]
	@mkdir -p $(CACHE)
	@$(GO) run ./scripts/testsum -summary $(CACHE)/test-summary -- \
	  . -race -timeout $(TIMEOUT) $(RUN) ./... -- \
	  testenv -p 1 -timeout $(TIMEOUT) $(RUN) ./...

.PHONY: test-unit
test-unit: ## the main module only
	@$(GO) run ./scripts/testsum -- . -race -timeout $(TIMEOUT) $(RUN) ./...

.PHONY: test-e2e
test-e2e: ## real containers, sshd and the recorder only (root)
	@$(GO) run ./scripts/testsum -- testenv -p 1 -timeout $(TIMEOUT) $(RUN) ./...

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	@$(GO) list -f '{{.Dir}}' ./... | while read -r dir; do \
	  grep -hos '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/^func //' | while read -r target; do \
	    echo "fuzz $$dir $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null || exit 1; \
	  done || exit 1; \
	done

.PHONY: bench
bench: ## what recording costs, beside other recorders, as one table (root)
	@scripts/deps.sh bench
	@cd testenv && $(GO) run ./cmd/bench

.PHONY: lint
lint: ## linters and the form of the Go and shell code
	$(LINT) ./...
	cd testenv && $(LINT) ./...
	@unformed=$$(gofmt -l $$(git ls-files '*.go')); \
	  [ -z "$$unformed" ] || { echo "not in gofmt's form: $$unformed"; exit 1; }
	@! command -v shellcheck >/dev/null || shellcheck scripts/*.sh .ci/run

.PHONY: fmt
fmt: ## put the Go code into gofmt's form
	gofmt -w $$(git ls-files '*.go')

.PHONY: generate
generate: ## the BPF objects anew (clang-16, llvm-16)
	$(GO) generate ./...

.PHONY: verify-generated
verify-generated: generate ## that the committed BPF objects are what the C code gives
	git diff --exit-code --stat -- '*_bpfel.go' '*_bpfel.o'

.PHONY: cross
cross: ## that the command line builds for the systems people sit at
	@for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
	  echo "build cmd/kubetape for $$target"; \
	  CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -o /dev/null ./cmd/kubetape || exit 1; \
	done
	@echo "build cmd/kubetape-node for linux/arm64"
	@CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/kubetape-node

.PHONY: clean
clean: ## what the other targets made
	rm -rf $(BIN) $(CACHE) dist
