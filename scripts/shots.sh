#!/usr/bin/env bash
# Takes the pictures of README and docs: the tests that look at every page take one of each, and a few of them are kept in docs/shots.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/needs.sh
need_chromium
need_peers
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
DOORWARD_SHOTS=$all go test -count 1 -run 'TestChromeScreens$' ./internal/server
mkdir -p docs/shots
rm -f docs/shots/*.png
while read -r from to; do
  install -m 644 "$all/$from.png" "docs/shots/$to.png"
done <<END
signin-desk signin-light
signin-desk-dark signin-dark
enrol-app-desk enrol
dashboard-customer-desk dashboard
dashboard-msp-desk dashboard-msp
people-desk people
people-desk-dark people-dark
invite-partly-desk invite
person-desk person
inside-customer-people-desk technician
organisations-tree-desk organisations-tree
customer-new-desk customer-new
branding-desk branding
bulk-done-desk bulk-done
job-running-desk job-running
seats-msp-desk seats
search-panel-desk search
signin-phone phone-signin
enrol-app-phone phone-enrol
dashboard-customer-phone phone-dashboard
code-phone-dark phone-code-dark
END
ls -l docs/shots
