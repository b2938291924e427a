# Sourced by the other scripts: finds or installs what tests need, and runs a PostgreSQL for as long as the script runs.

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

apt_install() {
  command -v apt-get >/dev/null || { echo "install $* and run this again" >&2; exit 1; }
  echo "installing $*" >&2
  as_root apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

find_postgres() { # prints the folder with initdb, newest version first
  local d
  for d in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v initdb || echo /none/x)")"; do
    [ -x "$d/initdb" ] && { echo "$d"; return 0; }
  done
  return 1
}

need_postgres() { find_postgres >/dev/null || apt_install postgresql; find_postgres >/dev/null || { echo "no PostgreSQL found" >&2; exit 1; }; }

need_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || apt_install chromium
  DOORWARD_TEST_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
  export DOORWARD_TEST_CHROMIUM
}

# start_postgres starts a server on a free loopback port and sets DOORWARD_TEST_POSTGRES. PostgreSQL refuses to run as root, so root
# hands it to the user that its package made.
start_postgres() {
  local bin port
  bin=$(find_postgres)
  PGROOT=$(mktemp -d /tmp/doorward-pg.XXXXXX)
  if [ "$(id -u)" = 0 ]; then chown postgres "$PGROOT"; PGRUN="runuser -u postgres --"; else PGRUN=""; fi
  port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo $((20000 + RANDOM % 20000)))
  (
    cd "$PGROOT"
    $PGRUN "$bin/initdb" -D "$PGROOT/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 >"$PGROOT/initdb.log" 2>&1 || { cat "$PGROOT/initdb.log" >&2; exit 1; }
    $PGRUN "$bin/pg_ctl" -D "$PGROOT/data" -w -l "$PGROOT/log" \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$PGROOT -c fsync=${PGFSYNC:-off} -c max_connections=300" start >/dev/null 2>&1 || { cat "$PGROOT/log" >&2; exit 1; }
  )
  trap 'cd /; $PGRUN "'"$bin"'/pg_ctl" -D "$PGROOT/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$PGROOT"' EXIT
  export DOORWARD_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
}

# need_peers installs the foreign programs that tests judge with, from the npm registry.
need_peers() {
  command -v npm >/dev/null || apt_install npm
  [ scripts/peers/node_modules/.package-lock.json -nt scripts/peers/package-lock.json ] || (cd scripts/peers && npm ci --no-audit --no-fund --silent)
  export DOORWARD_TEST_AXE=$PWD/scripts/peers/node_modules/axe-core/axe.min.js
}
