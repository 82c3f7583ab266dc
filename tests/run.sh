#!/usr/bin/env bash
# Installs what is missing, then style, types and tests. Arguments go to pytest: tests/run.sh -k fbank
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/pytest "$@"
