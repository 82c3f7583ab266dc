# What recipes' run.sh do alike: options, stages, and what a model is decoded with. A run.sh defines usage, the array stages
# ("title: what happens|time") and the names of its own options, `flags` (without a value) and `values`, then sources
# this file with its arguments. An option --name sets the variable of its name.

# The lines of --help that list the stages.
list_stages() {
  local stage
  for stage in "${!stages[@]}"; do printf '  %2d  %-68s %s\n' $((stage + 1)) "${stages[stage]%%|*}" "${stages[stage]##*|}"; done
}

# Say what comes, unless the stage is not asked for; what runs under it carries its name.
stage() {
  [[ $1 -ge $first && $1 -le $last ]] || return 1
  local title=${stages[$1 - 1]%%|*}
  export ASRDISTILL_STAGE="$1 ${title%%:*}"
  printf '\n== stage %s/%s: %s\n' "$1" "${#stages[@]}" "$title"
}

# together FUNCTION [N]: run the asrdistill commands in it in turn, by one process: Python and torch are loaded once for
# all. With N, by so many processes side by side.
together() {
  (
    asrdistill() { local quote="'\\''"; printf "'%s' " "${@//\'/$quote}"; echo; }
    "$1"
  ) | command asrdistill batch - --jobs "${2:-1}"
}

# in_turn FUNCTION, in a function that runs together: its commands one after the other, side by side with the rest.
in_turn() { "$1" | sed ':all; N; $! b all; s/\n/\&\& /g'; }

features_of() {  # the archives that a model takes
  case $(basename "$1") in
    mono | tri | lda_mllt) echo "$data/cepstra" ;;
    sat) echo "$data/fmllr" ;;
    *) echo "$data/fbank" ;;
  esac
}

tuned_by() {  # whose scales a model is decoded with: one of each kind is tuned
  local name
  name=$(basename "$1")
  case $name in
    *.*) echo "${name%.*}.$seed" ;;
    sat) echo lda_mllt ;;
    *) echo "$name" ;;
  esac
}

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
root=$(cd "$here/../.." && pwd)
conf=$here/conf
first=1 last=${#stages[@]} seeds=1 seed=0 data="" exp=""
jobs=$(nproc 2>/dev/null || echo 2)
for name in $flags; do printf -v "$name" false; done
for name in $values; do printf -v "$name" ""; done
while [[ $# -gt 0 ]]; do
  [[ $1 == --help || $1 == -h ]] && { usage; exit 0; }
  name=$([[ $1 =~ ^--([a-z-]+)$ ]] && echo "${BASH_REMATCH[1]}" || echo none)
  if [[ " $flags " == *" $name "* ]]; then
    printf -v "$name" true
    shift
    continue
  fi
  [[ " stage stop-stage seeds seed jobs data exp $values " == *" $name "* ]] || { echo "run.sh: unknown option '$1'; see --help" >&2; exit 2; }
  [[ $# -ge 2 ]] || { echo "run.sh: $1 needs a value; see --help" >&2; exit 2; }
  case $name in
    stage | stop-stage | seeds | seed | jobs)
      [[ $2 =~ ^[0-9]+$ ]] || { echo "run.sh: $1 must be a whole number, not '$2'" >&2; exit 2; } ;;
  esac
  case $name in
    stage) first=$2 ;;
    stop-stage) last=$2 ;;
    *) printf -v "$name" %s "$2" ;;
  esac
  shift 2
done
