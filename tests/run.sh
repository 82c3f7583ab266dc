#!/usr/bin/env bash
# Installs what is missing, then style, types and tests, these on all cores, a file's in one process.
# Arguments go to pytest: tests/run.sh -k fbank -n 0
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh
for check in "ruff check ." "ruff format --check ." mypy; do
  .venv/bin/python -m $check
done
.venv/bin/python -m pytest -n auto --dist loadfile "$@"
