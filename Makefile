# What each target needs beyond Go it installs itself; see CONTRIBUTING.md.
export CGO_ENABLED = 0
# pgx without its table of all types of PostgreSQL, 1.4 MB of the binary that nothing asks: see sqldb's connector.
export GOFLAGS += -tags=nopgxregisterdefaulttypes
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)

.PHONY: run build test check bench shots clean

run: build ## a sample world with every kind of organisation and account, on this machine alone
	@bin/doorward demo

build: ## the static binary bin/doorward
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/doorward ./cmd/doorward

test: ## all tests, on SQLite and PostgreSQL and in Chromium
	@scripts/test.sh

check: ## format, vet, linters, dead code, vulnerabilities, dependency rules
	@scripts/check.sh

bench: build ## figures of this machine, ours beside the physical limit
	@scripts/bench.sh

shots: ## the pictures of README and docs, taken from the running program
	@scripts/shots.sh

clean:
	@rm -rf bin
