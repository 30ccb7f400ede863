#!/usr/bin/env bash
# with_lowest_versions.sh PYTHON: the tests, with every requirement at the lower end of its range; torch as pinned.
# Old libraries warn beside newer ones of their own, so warnings are not errors here.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
here=.venv/bin/python
"$1" -m venv "$folder/venv"
$here -m tests.packaging.requirements lowest train sweep >"$folder/lowest.txt"
grep -E '^(torch|goatools)==' constraints.txt >>"$folder/lowest.txt"
cat "$folder/lowest.txt"
"$folder/venv/bin/python" -m pip install --quiet --constraint "$folder/lowest.txt" --editable '.[train,sweep]'
"$folder/venv/bin/python" -m pip install --quiet --constraint "$folder/lowest.txt" \
  beartype duckdb goatools hypothesis mlcroissant obonet openpyxl packaging pandas playwright polars pooch pytest pytest-timeout xlsxwriter
"$folder/venv/bin/python" -m pytest -q -o filterwarnings= tests/domain tests/sources tests/storage tests/building tests/figures \
  tests/commands tests/training ${LOWEST_ARGS:-}
