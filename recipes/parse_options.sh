# shellcheck shell=bash
# Options, stages and logs of the recipes. A run.sh sets the defaults of its own options, then sources this file.
#
# The comment at the head of run.sh is its --help. An option documented there as "#   --some-name" sets the variable
# some_name: a flag if the default is false, a whole number if it is one, several values if it is an array. Relative
# --data, --exp and --out are taken from the current folder.

# shellcheck disable=SC2034
set -euo pipefail
run_script=${BASH_SOURCE[1]}
here=$(cd "$(dirname "$run_script")" && pwd)
root=$(cd "$here/../.." && pwd)
conf=$here/conf PATH=$root/.venv/bin:$PATH
last_stage=$(sed -n 's/^if stage \([0-9]*\) .*/\1/p' "$run_script" | tail -n 1)
stage=1 stop_stage=$last_stage seeds=${seeds:-1} seed=0 teachers=4 jobs=$(nproc 2>/dev/null || echo 2) executor="" data="" exp="" dry_run=false started=false log=/dev/null
arguments=("$@") # for a recipe that calls others

fail() { printf '%s: %s\n' "${run_script##*/}" "$*" >&2; exit 2; }
require_files() { for file; do [[ -f $file ]] || fail "$file does not exist"; done; }

usage() {
  sed -n '2,/^#   --/{/^#   --/d;s/^# \{0,1\}//;p;}' "$run_script"
  echo options:
  sed -n '/^#   --/,/^[^#]/{/^[^#]/d;s/^# \{0,1\}//;p;}' "$run_script"
  cat <<'HELP'
  --stage N        first stage to run (default 1)
  --stop-stage N   last stage to run (default: the last)
  --seeds N        number of students, each with its own seed
  --seed N         seed of the first student and of the first teacher (default 0)
  --jobs N         processes (default: the processors of this machine)
  --executor E     processes (default), or a Ray cluster: ray, ray:auto or ray:ADDRESS
  --data DIR       folder for corpus, features and language
  --exp DIR        folder for models, results and logs (DIR/log)
  --dry-run        print the commands of the stages, ready to be pasted, and run nothing

stages:
HELP
  sed -n 's/^if stage \([0-9]*\) "\([^"]*\)" "\([^"]*\)".*/\1|\2|\3/p' "$run_script" |
    while IFS='|' read -r number title time; do printf '  %2d  %-76s %s\n' "$number" "$title" "$time"; done
  printf '\nA stage that is up to date is skipped. Run an interrupted recipe again to continue it.\n'
}

known="$(sed -n 's/^#   --\([a-z-]*\).*/\1/p' "$run_script" | tr '\n' ' ')stage stop-stage seeds seed jobs executor data exp dry-run"
while (($#)); do
  [[ $1 != --help && $1 != -h ]] || { usage; exit 0; }
  name=${1#--}
  [[ $1 == --* && " $known " == *" $name "* ]] || fail "unknown option '$1'; the options are --${known// / --}"
  variable=${name//-/_}
  if [[ ${!variable-} == false ]]; then
    printf -v "$variable" true
    shift && continue
  fi
  [[ $# -gt 1 && $2 != --* ]] || fail "$1 needs a value; see --help"
  if [[ $(declare -p "$variable") == "declare -a"* ]]; then
    declare -n list=$variable
    while (($# > 1)) && [[ $2 != --* ]]; do list+=("$2") && shift; done
    shift && continue
  fi
  value=$2
  [[ ! ${!variable} =~ ^[0-9]+$ || $value =~ ^[1-9][0-9]*$ || ($name == seed && $value == 0) ]] ||
    fail "$1 must be a whole number above 0, not '$value'"
  if [[ $name =~ ^(data|exp|out)$ && $value != /* ]]; then value=$PWD/$value; fi
  printf -v "$variable" %s "$value"
  shift 2
done
[[ -z $executor ]] || export ASRDISTILL_EXECUTOR=$executor
((stage <= last_stage && stop_stage <= last_stage)) || fail "the stages are 1 to $last_stage, not $stage to $stop_stage"
((stage <= stop_stage)) || fail "--stage $stage is after --stop-stage $stop_stage"
mapfile -t students < <(seq "$seed" $((seed + seeds - 1))) # their seeds, and those of the teachers
mapfile -t teachers < <(seq "$seed" $((seed + teachers - 1)))

# stage N TITLE TIME: true if the stage is to run. The first one installs the toolkit and locks the experiment.
stage() {
  (($1 >= stage && $1 <= stop_stage)) || return 1
  local title=${2%%:*} folder=${out:-$exp}
  $started || start "$folder"
  export ASRDISTILL_STAGE="$1 $title"
  if $dry_run; then
    printf '\n# stage %s/%s: %s\n' "$1" "$last_stage" "$2"
  else
    printf '\n== stage %s/%s: %s\n' "$1" "$last_stage" "$2"
    mkdir -p "$folder/log" && printf -v log '%s/log/%02d-%s.log' "$folder" "$1" "${title// /_}"
  fi
}

start() {
  started=true
  if $dry_run; then
    printf 'export PATH=%q:%s\n' "$root/.venv/bin" "\$PATH"
    return
  fi
  "$root/tools/install.sh" || exit # in the condition of an if, set -e does not hold
  mkdir -p "$1/log"
  exec 9> "$1/.lock"
  ! command -v flock >/dev/null || flock -n 9 || fail "another run uses $1; wait for it, stop it or give another folder"
}

# run COMMAND…: with --dry-run print it, else run it; output goes to the screen and to the stage's log.
run() {
  local line && printf -v line '%q ' "$@"
  if $dry_run; then
    [[ $BASHPID != $$ ]] || wait # for what a command in the background prints
    echo "${line% }"
  else
    echo "\$ $line" >> "$log"
    { command "$@" 2>&1 >&3 | tee -ia "$log" >&2; } 3>&1 | tee -ia "$log"
  fi
}
for name in asrdistill nice python torchrun ln; do eval "$name() { run $name \"\$@\"; }"; done

# Wait for all commands in the background; fails if one of them failed.
wait_all() { for pid in $(jobs -p); do wait "$pid"; done; }

# A recipe that fails or is interrupted stops its commands in the background.
stop_tree() {
  local child
  kill -STOP "$1" 2>/dev/null || return 0 # or it starts another one meanwhile
  for child in $(pgrep -P "$1"); do stop_tree "$child"; done
  kill -TERM "$1" && kill -CONT "$1"
}
trap 'for pid in $(jobs -p); do stop_tree "$pid"; done' EXIT
