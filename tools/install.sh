#!/usr/bin/env bash
# Makes .venv in the project's root with everything that asrdistill needs, at the versions of
# tools/requirements.lock (some 6 GB on Linux, where torch brings its CUDA libraries along).
# The native library of asrdistill/core is compiled by the system's C compiler (CC=… names another one), or by the
# ziglang package where there is none. A second call finds that nothing changed and returns at once. An environment that was never finished
# is made anew; one that was finished once is only refreshed, never removed.
#
#   tools/install.sh               make or refresh .venv
#   tools/install.sh --env PATH    use the virtual or conda environment PATH instead: .venv becomes a link
#                                  to it; what it has within setup.cfg's ranges is kept, the rest is added
#
# PYTHON=… names another interpreter than python3. Scripts call .venv/bin/asrdistill afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 2; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"; }

check_python() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    fail "$1 is not Python 3.10 or later; name one that is: PYTHON=python3.12 tools/install.sh"
}

stamp=.venv/.asrdistill         # holds what a finished installation was made from
unfinished=.venv/.unfinished    # stands there until the first one is finished
up_to_date() { [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }

# pip, of whose output only the large downloads are shown.
pip() {
  .venv/bin/python -m pip --disable-pip-version-check "$@" |
    { grep --line-buffered -E '(Downloading|Using cached) .*\([0-9]{2,}(\.[0-9])? MB\)|^Installing' || true; } | cut -c 1-100
}

environment=
while [ $# -gt 0 ]; do
  case $1 in
    --env) [ $# -ge 2 ] || fail "--env needs the path of an environment"; environment=$2; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown argument '$1'; see tools/install.sh --help" ;;
  esac
done

if [ -n "$environment" ]; then
  [ -x "$environment/bin/python" ] || fail "$environment has no bin/python; give the folder of an environment"
  [ ! -e .venv ] || [ -L .venv ] || fail ".venv stands already; remove it first to use $environment"
  ln -sfn "$(cd "$environment" && pwd)" .venv
fi

# What the installation was made from. Its path is part of it: environments do not survive a move.
wanted=$({ pwd; cat tools/requirements.lock setup.cfg pyproject.toml; } | cksum)
compile() { .venv/bin/python asrdistill/core/build.py || fail "the native library cannot be compiled (see above)"; }
if up_to_date; then compile; exit 0; fi

# One installation at a time, where the system has flock; a killed one's pip is waited for.
exec 9>.venv.lock
! command -v flock >/dev/null || flock 9
if up_to_date; then compile; exit 0; fi

if [ -L .venv ] && [ ! -x .venv/bin/python ]; then
  say "the environment that .venv links to is gone"
  rm .venv
fi
if [ ! -L .venv ] && { [ ! -x .venv/bin/python ] || [ -e "$unfinished" ]; }; then
  python=${PYTHON:-python3}
  check_python "$python"
  say "making .venv with $("$python" --version)"
  rm -rf .venv
  mkdir .venv
  touch "$unfinished"
  "$python" -m venv .venv || fail "$python cannot make environments; install its venv package (Debian: python3-venv)"
fi
check_python .venv/bin/python
rm -f "$stamp"

if ! .venv/bin/python asrdistill/core/build.py --has-compiler; then
  say "there is no C compiler: adding that of the ziglang package"
  pip install 'ziglang == 0.17.1'
fi
if [ -L .venv ]; then
  say "adding to $(readlink .venv) what it lacks"
  pip install --editable '.[train,test]'
else
  say "installing the versions of tools/requirements.lock (minutes)"
  pip install --requirement tools/requirements.lock
  pip install --no-deps --no-build-isolation --editable .
fi

say "checking torch, torchaudio and the audio readers"
.venv/bin/python - <<'EOF' || fail "the installation does not work (see above); remove .venv and run this again"
import tempfile
from pathlib import Path

import numpy
import soundfile
import soxr
import torch
import torchaudio

with tempfile.TemporaryDirectory() as folder:
    for name in ("tone.wav", "tone.flac"):
        path = Path(folder, name)
        soundfile.write(path, 0.5 * numpy.sin(numpy.arange(16000)), 16000)
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == 16000 and len(samples) == 16000, name
    assert len(soxr.resample(samples, 16000, 8000, quality="soxr_hq")) == 8000
    torchaudio.functional.compute_deltas(torch.from_numpy(samples)[None])
print(f"install: torch {torch.__version__}, torchaudio {torchaudio.__version__}, soxr {soxr.__version__}")
EOF
compile
.venv/bin/asrdistill --version >/dev/null
rm -f "$unfinished"
printf '%s\n' "$wanted" >"$stamp"
say "ready: .venv/bin/asrdistill"
