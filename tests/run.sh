#!/usr/bin/env bash
# Installs what is missing, then style, types and tests, these on all cores, the tests of a file in one process.
# At the end: tests that were skipped and why, and the coverage of asrdistill, without what other processes run.
# Arguments go to pytest, and coverage is not measured:
#   tests/run.sh -m "not slow"       without the slow tests
#   tests/run.sh -k fbank -n 0       the tests of a name, in one process
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install.sh

# Oracles that some systems must build. Where that fails, the tests that need them are skipped and listed.
oracles="kaldi-hmm-gmm==1.1.4 kenlm==0.3.0 ray==2.60.0"
tried=.venv/.oracles
if [ "$(cat $tried 2>/dev/null)" != "$oracles" ]; then
  for oracle in $oracles; do
    .venv/bin/python -m pip --disable-pip-version-check install --quiet --constraint tools/requirements.lock "$oracle" \
      >$tried.log 2>&1 || echo "tests: $oracle cannot be installed (see $tried.log), tests that need it are skipped" >&2
  done
  echo "$oracles" >$tried
fi

for check in "ruff check ." "ruff format --check ." mypy; do
  .venv/bin/python -m $check
done
# a process that ends is not started again: pytest-xdist 3.8 would then wait for ever for the rest of its file
pytest=(.venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -rs)
[ $# -eq 0 ] || exec "${pytest[@]}" "$@"
status=0
"${pytest[@]}" --cov asrdistill --cov-report= || status=$?
.venv/bin/python -m coverage report --skip-covered --sort cover
exit $status
