#!/usr/bin/env bash
# with_other_python.sh PYTHON: the tests that need no torch, with another Python and the pinned versions.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" -m venv "$folder/venv"
"$folder/venv/bin/python" --version
"$folder/venv/bin/python" -m pip install --quiet --constraint constraints.txt --editable '.[dask]'
"$folder/venv/bin/python" -m pip install --quiet --constraint constraints.txt \
  beartype goatools hypothesis obonet openpyxl packaging pandas playwright pytest xlsxwriter
"$folder/venv/bin/python" -m pytest -q tests/domain tests/sources tests/storage tests/building tests/figures \
  tests/commands --ignore tests/storage/test_touched_terms.py --ignore tests/commands/model/test_train.py --ignore tests/commands/model/test_wandb.py --ignore tests/commands/model/test_sweep.py \
  --ignore tests/commands/look/test_report.py --deselect tests/commands/shell/test_settings.py::test_a_runs_own_config_wins_over_standing_settings
