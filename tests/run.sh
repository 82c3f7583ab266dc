#!/usr/bin/env bash
# Installs what is missing, then style, types and tests. Arguments go to pytest: tests/run.sh -k fbank
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh
for check in "ruff check ." "ruff format --check ." mypy; do
  .venv/bin/python -m $check
done
.venv/bin/python -m pytest "$@"
