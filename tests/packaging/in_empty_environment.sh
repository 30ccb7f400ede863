#!/usr/bin/env bash
# in_empty_environment.sh PYTHON WHEEL CONSTRAINTS: a user's first minutes with the bare installation, no extra.
set -euo pipefail
wheel=$(realpath "$2") constraints=$(realpath "$3") python=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$python" -m venv venv
timed() { local began=$SECONDS; echo "\$ $*"; "$@"; echo "  ($((SECONDS - began)) s)"; }
timed venv/bin/python -m pip install --quiet --constraint "$constraints" "$wheel"
for words in "verify-levels" "build-cache --dataset essentiality" "inspect sample 0" "cache verify" "doctor"; do
  # shellcheck disable=SC2086 # the words are words
  timed venv/bin/gocell $words >"out.txt"
  tail -n 2 out.txt
done
code=0
venv/bin/gocell train 2>err.txt || code=$?
cat err.txt
[ "$code" = 7 ] || { echo "train without its extra left with $code, not 7" >&2; exit 1; }
