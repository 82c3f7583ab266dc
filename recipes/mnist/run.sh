#!/usr/bin/env bash
# The missing digit (Hinton, Vinyals and Dean, section 3): what a student learns about a class that it never meets. An
# image is an utterance of one frame here and its digit the senone, so that everything is done by what distils speech.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: recipes/mnist/run.sh [options]

  --stage N        begin at stage N (default 1)
  --stop-stage N   end after stage N (default 6)
  --digits         scikit-learn's 1,797 digits of 8 × 8 pixels at once, without asking for MNIST
  --mnist DIR      a folder with MNIST's four files that you have, in place of the download
  --mirror URL     where to fetch MNIST from (default: known mirrors)
  --seeds N        of each system, so many models with teachers of their own (default 3)
  --seed N         the first seed (default 0)
  --epochs N       of all trainings, to see quickly that everything works
  --jobs N         processes (default: the processors of this machine)
  --data DIR       where the images go (default recipes/mnist/data)
  --exp DIR        where models and results go (default recipes/mnist/exp)

stages, with their time for the small digits on two cores with AVX2 (an hour or two in all for MNIST):
HELP
  list_stages
  cat <<'HELP'

Where MNIST cannot be reached the recipe goes on with scikit-learn's digits, and says so here, in the table and in
RESULTS.md. A stage that is up to date is skipped; a run that was killed goes on where it was.
HELP
}

stages=(
  "images: MNIST or scikit-learn's digits; shifted copies for the teachers|0.2 min"
  "teachers and baselines|1 min"
  "soft targets|0.2 min"
  "students: of all digits, without 3, of 7 and 8 alone, over temperatures|1 min"
  "bias of what was left out, chosen on validation|0.2 min"
  "score: errors in all and on what was left out, table|0.3 min"
)

flags="digits" values="mnist mirror epochs"
# shellcheck source=recipes/recipe.sh
source "$(dirname "${BASH_SOURCE[0]}")/../recipe.sh" "$@"
[[ " $* " == *" --seeds "* ]] || seeds=3
data=${data:-$here/data}
exp=${exp:-$here/exp}
"$root/tools/install.sh"
PATH=$root/.venv/bin:$PATH

if stage 1; then
  source=$data/download
  if [[ -n $mnist ]]; then
    source=$mnist
  elif $digits || ! python "$here/local/mnist.py" download "$data/mnist" ${mirror:+--mirror "$mirror"}; then
    echo "These are scikit-learn's 1,797 digits of 8 × 8 pixels, not MNIST's 70,000 of 28 × 28." >&2
    source=$data/digits
    python "$here/local/mnist.py" digits "$source"
  else
    source=$data/mnist
  fi
  python "$here/local/mnist.py" prepare "$source" "$data/corpus"
fi
images=$data/corpus/features ali=$data/corpus/ali jittered=$data/jittered
variant=mnist
if grep -q '"rows": 8' "$images/train/meta.json" 2>/dev/null; then variant=digits; fi
if stage 1; then
  shift=(--pixels 2 --copies 8)
  if [[ $variant == digits ]]; then shift=(--pixels 1); fi
  python "$here/local/shift_images.py" "$images/train" "$jittered/features" "${shift[@]}"
  asrdistill copies "$ali/train" "$jittered/features" "$jittered/ali"
fi

conf=$conf/$variant
narrow=(--width 30 --epochs 80 --learning-rate 3e-3)
few=${epochs:+--epochs $epochs}
last_seed=$((seed + seeds - 1))
batch() { asrdistill batch - --jobs "$jobs"; }  # commands, one a line; paths without blanks
teach() {  # teach NAME CONF [options]: a network on the digits themselves
  for ((i = seed; i <= last_seed; i++)); do
    echo "train $images/train $ali/train $exp/$1.$i --config $conf/$2.yaml --seed $i ${*:3} $few"
  done
}
distil() {  # distil NAME CONF [options]: a student of the teacher of its seed; the transfer set is not shifted
  for ((i = seed; i <= last_seed; i++)); do
    echo "train $images/train $ali/train $exp/$1.$i --config $conf/$2.yaml --seed $i --soft-targets $exp/targets.$i ${*:3} $few"
  done
}

if stage 2; then
  {
    for ((i = seed; i <= last_seed; i++)); do
      echo "train $jittered/features $jittered/ali $exp/teacher.$i --config $conf/teacher.yaml --seed $i $few"
    done
    teach baseline baseline
    teach narrow baseline "${narrow[@]}"
  } | batch
fi

temperatures="1 2 2.5 4 8 20"
if stage 3; then
  for ((i = seed; i <= last_seed; i++)); do
    echo "soft-targets $exp/teacher.$i $images/train $exp/targets.$i --keep 0 --temperatures $temperatures --jobs 1"
  done | batch
fi

if stage 4; then
  {
    distil student student
    distil matching student --loss logits
    # Of what is left out, hard targets teach no more than that it never comes: soft ones alone.
    distil without_3 student --hard-weight 0 --omit 3
    distil only_7_8 student --hard-weight 0 --omit 0 1 2 3 4 5 6 9
    for t in $temperatures; do
      distil "narrow_$t" student --hard-weight 0 --temperature "$t" "${narrow[@]}"
      distil "wide_$t" student --hard-weight 0 --temperature "$t" --width 300
    done
  } | batch
fi

if stage 5; then
  for ((i = seed; i <= last_seed; i++)); do
    held_out="$images/validation $ali/validation"
    echo "bias $exp/without_3.$i $held_out $exp/without_3_bias.$i --phones 3 --jobs 1"
    echo "bias $exp/only_7_8.$i $held_out $exp/only_7_8_bias.$i --phones 7 8 --jobs 1"
  done | batch
fi

systems=(teacher baseline student matching without_3 without_3_bias only_7_8 only_7_8_bias narrow)
for t in $temperatures; do systems+=("narrow_$t" "wide_$t"); done
if stage 6; then
  for system in "${systems[@]}"; do
    for ((i = seed; i <= last_seed; i++)); do
      echo "evaluate $exp/$system.$i $images/test $ali/test $exp/frames/$system.$i/test --jobs 1"
    done
  done | batch
  asrdistill report "$exp" --config "$conf/systems.yaml"
fi
