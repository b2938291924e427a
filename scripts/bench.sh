#!/usr/bin/env bash
# Figures of this machine on SQLite and PostgreSQL. Absolute figures drift between machines: compare the shares.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh
need_postgres
PGFSYNC=on start_postgres # tests run without
bin/doorward bench "$@"
echo
bin/doorward bench --on "$DOORWARD_TEST_POSTGRES" "$@"
cat <<'PEERS'

Peers, measured in November 2026 on the same kind of machine (2 cores, 24 GiB):
  session check             Authelia 46,000-49,000/s (in memory)   Pocket ID 4,500   Ory Kratos 3,000
  password sign-in          Kratos 75/s (73 % of bare argon2id)    Authelia 51/s
  start to healthy          Dex 13 ms   Pocket ID 22   Authelia 39   Hydra 51-60   Kratos 100   Casdoor 290
  idle memory               Dex 33 MB   Pocket ID 46   Hydra 54   Authelia 57   Casdoor 76   Kratos 86
PEERS
