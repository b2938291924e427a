#!/usr/bin/env bash
# Format, vet, linters, dead code, known vulnerabilities and dependency rules. The tools are built from tools/go.mod into bin/tools.
# GOVULNDB names another vulnerability database than the public one, such as file:///path/to/unpacked/db where there is no network.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/bin/tools
if [ ! -x "$bin/golangci-lint" ] || [ tools/go.mod -nt "$bin/golangci-lint" ]; then
  echo "building the tools (once)"
  (cd tools && GOBIN="$bin" go install tool && touch "$bin"/*)
fi
step() { echo "== $1"; }
step gofmt
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || { echo "not gofmt-clean: $unformatted"; exit 1; }
step "go vet"
go vet ./...
step golangci-lint
"$bin/golangci-lint" run ./...
step deadcode
dead=$("$bin/deadcode" -test ./...)
[ -z "$dead" ] || { echo "$dead"; exit 1; }
step "dependency rules"
# modernc.org/sqlite is a translation made for one version of libc: any other is untested.
want=$(go list -m -f '{{.GoMod}}' modernc.org/sqlite | xargs awk '$1 == "modernc.org/libc" {print $2}')
have=$(go list -m -f '{{.Version}}' modernc.org/libc)
[ "$want" = "$have" ] || { echo "modernc.org/libc is $have, modernc.org/sqlite wants $want"; exit 1; }
go mod verify >/dev/null
go mod tidy -diff
go test ./internal/server -run 'TestHouse' -count=1
step govulncheck
if [ -n "${GOVULNDB:-}" ]; then "$bin/govulncheck" -db "$GOVULNDB" ./cmd/...; else "$bin/govulncheck" ./cmd/...; fi
echo "all checks passed"
