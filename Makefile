# Colonnade's tasks. `make help` lists them; each installs by itself what it lacks (root on Debian 12).
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0

# What runs load balancers and what builds the kernel programs.
RUN_PACKAGES := haproxy nftables iproute2 ca-certificates
# The second database that the tests run on; each test program starts its own server.
TEST_PACKAGES := postgresql
# OpenStack's own clients, identity service and test suites, which judge the API from outside.
CONFORMANCE_PACKAGES := octavia-tempest-plugin python3-keystone python3-octavia python3-octaviaclient python3-openstackclient python3-webtest tempest
GENERATE_PACKAGES := clang-14 llvm-14 libbpf-dev linux-libc-dev
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
LINT_BIN := build/tools/golangci-lint-v2.5.0
TEST_TIMEOUT := 15m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: packages
packages:
	@tools/install-packages $(RUN_PACKAGES)

.PHONY: test-packages
test-packages: packages
	@tools/install-packages $(TEST_PACKAGES)

.PHONY: build
build: ## build bin/colonnade and bin/colonnade-agent
	go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/...

.PHONY: test
test: test-packages build ## run every test (needs root)
	go test -timeout $(TEST_TIMEOUT) ./...

.PHONY: test-long
test-long: test-packages build ## run every test at full length: more histories, every crash point, fuzzing seeds
	COLONNADE_LONG=1 go test -timeout 90m ./...

.PHONY: race
race: test-packages build ## run the tests of concurrent packages under the race detector
	@tools/install-packages gcc libc6-dev
	CGO_ENABLED=1 go test -race -short -timeout $(TEST_TIMEOUT) ./internal/...

.PHONY: e2e
e2e: packages build ## run the whole-system tests alone, with their output
	go test -count=1 -v -timeout $(TEST_TIMEOUT) ./test/e2e/...

.PHONY: conformance
conformance: test-packages ## let OpenStack's clients, Octavia's own suites and a Keystone judge the API; many minutes
	@tools/install-packages $(CONFORMANCE_PACKAGES)
	COLONNADE_CONFORMANCE=1 go test -count=1 -timeout 30m ./test/conformance/...

.PHONY: lint
lint: $(LINT_BIN) ## check style, errors and the arrows between packages
	$(LINT_BIN) run ./...

$(LINT_BIN):
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/build/tools go install $(GOLANGCI)
	@mv build/tools/golangci-lint $@

.PHONY: generate
generate: ## make generated files anew (kernel programs, OpenAPI documents, schema)
	@tools/install-packages $(GENERATE_PACKAGES)
	go generate ./...

.PHONY: verify
verify: ## check that generated files are what `make generate` makes
	@tools/verify-generated

.PHONY: bench
bench: bench-packet bench-create bench-failover bench-api ## run every benchmark

.PHONY: bench-packet
bench-packet: packages ## T6: nanoseconds a packet of the distributor's program
	@mkdir -p build/bench
	go run ./test/bench/packet

.PHONY: bench-create
bench-create: packages build ## T8: from POST to the first 200 through the VIP
	@mkdir -p build/bench
	go run ./test/bench/create

.PHONY: bench-failover
bench-failover: packages build ## T1, T2, T18: an amphora dies
	@mkdir -p build/bench
	go run ./test/bench/failover

.PHONY: bench-api
bench-api: test-packages build ## T9, T12: how fast the API answers, at 1 and 16 clients, on both databases
	@mkdir -p build/bench
	go run ./test/bench/api

.PHONY: demo
demo: packages build ## watch a load balancer serve, lose an amphora and heal; leaves nothing behind
	bin/colonnade demo

.PHONY: run
run: packages build ## run the control plane in the foreground (state in /var/lib/colonnade)
	bin/colonnade up

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build
