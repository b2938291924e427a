#!/usr/bin/env bash
# Runs all tests. What they need and this machine lacks is installed first: PostgreSQL and Chromium, from the distribution's packages.
# A PostgreSQL of our own is started in a temporary folder and stopped at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh
need_postgres
need_chromium
need_peers
start_postgres
go vet ./...
go test -timeout 20m "$@" ./...
