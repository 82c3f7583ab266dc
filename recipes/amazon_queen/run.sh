#!/usr/bin/env bash
# From the voices of a game to a distilled student: Hinton, Vinyals and Dean's speech experiment on real speech.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: recipes/amazon_queen/run.sh [options]

  --stage N        begin at stage N (default 1)
  --stop-stage N   end after stage N (default 10)
  --small          a subset that ends in about five minutes, to see that everything works
  --open           vocabulary of the train text alone; the out-of-vocabulary rate stands beside the WER
  --paper          afterwards the paper's other experiments, one part of recipes/amazon_queen/paper after the other
  --whisper        afterwards students that a head on Whisper's encoder taught, in recipes/amazon_queen/whisper
  --quick          with --paper or --whisper: fewer values and updates, no more seeds than --seeds; --paper: about 1 h
  --seeds N        students to train, each with its own seed (default 1)
  --seed N         seed of the first student, and the first of the teachers' (default 0)
  --jobs N         processes (default: the processors of this machine)
  --queen FILE     a queen.1c that you have, in place of the download
  --data DIR       where the corpus goes (default recipes/amazon_queen/data)
  --exp DIR        where models and results go (default recipes/amazon_queen/exp)

stages, with their time on two cores with AVX2 (and with --small):
HELP
  list_stages
  cat <<'HELP'

A stage that is up to date is skipped; a run that was killed goes on where it was. For example
  recipes/amazon_queen/run.sh --seeds 3               three students, mean and deviation in the table
  recipes/amazon_queen/run.sh --stage 9               only decode the students and score again
  recipes/amazon_queen/run.sh --paper --quick         everything, and an outline of the paper's other experiments
HELP
}

stages=(
  "corpus: fetch the game, cut out its clips, make the data directories|0.2 min (0.2 min)"
  "features: filterbanks for the networks, cepstra for the GMMs|1 min (0.3 min)"
  "language: pronunciations, G2P, trigram|0.3 min (0.1 min)"
  "flat start: monophone GMM|2 min (0.1 min)"
  "triphones: decision trees, LDA and MLLT, adaptation to speakers|5 min (0.6 min)"
  "teachers: four networks that differ in their seed|25 min (1.2 min)"
  "soft targets of their ensemble|9 min (0.2 min)"
  "student: beside it, scales tuned on dev and words of all other systems|23 min (1.7 min)"
  "decode: the student|1 min (0.2 min)"
  "score: frame accuracy, WER, significance, table|1 min (0.1 min)"
)

flags="small open paper whisper quick" values="queen"
# shellcheck source=recipes/recipe.sh
source "$(dirname "${BASH_SOURCE[0]}")/../recipe.sh" "$@"
if $quick && ! $paper && ! $whisper; then echo "run.sh: --quick is a form of --paper and --whisper; give it beside one" >&2; exit 2; fi
variant=$($small && echo small || echo default)
data=${data:-$here/data/$variant}
exp=${exp:-$here/exp/$variant}
"$root/tools/install.sh"
PATH=$root/.venv/bin:$PATH

sets=(train dev test test_unseen)
teachers=4
subset=() teacher=(--config "$conf/teacher.yaml") student=(--config "$conf/student.yaml")
mono=(--config "$conf/mono.yaml") tri=(--config "$conf/tri.yaml")
lda=(--config "$conf/lda_mllt.yaml") sat=(--config "$conf/sat.yaml") targets=(--config "$conf/targets.yaml")
if $small; then
  subset=(--minutes 24)
  teacher+=(--epochs 2 --width 64)
  student+=(--epochs 2 --width 64)
  mono+=(--gaussians 400 --iterations 20)
  tri+=(--leaves 300 --gaussians 1200 --iterations 14)
  lda+=(--leaves 300 --gaussians 1200 --iterations 14)
  sat+=(--leaves 300 --gaussians 1200 --iterations 14)
fi
lang=$data/lang lm=$data/lm
if $open; then lang=$data/lang_open lm=$data/lm_open; fi

if stage 1; then
  if [[ -z $queen ]]; then
    queen=$data/download/queen.1c
    python "$here/local/amazon_queen.py" download "$data/download"
  fi
  python "$here/local/amazon_queen.py" prepare "$queen" "$data/corpus" "${subset[@]}" --jobs "$jobs"
fi

extract() {
  for set in "${sets[@]}"; do
    asrdistill features "$data/corpus/$set" "$data/fbank/$set" --config "$conf/fbank.yaml" --jobs "$jobs"
    asrdistill cepstra "$data/fbank/$set" "$data/corpus/$set" "$data/cepstra/$set" --config "$conf/cepstra.yaml" --jobs "$jobs"
  done
  # The networks see every train utterance three times, as two other vocal tracts would have said it too.
  asrdistill features "$data/corpus/train" "$data/fbank/train_copies" --config "$conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"
}
if stage 2; then together extract; fi

describe_language() {
  asrdistill g2p "$root/data/cmudict.txt.gz" "$data/g2p"
  texts=("${sets[@]/#/$data/corpus/}")
  dictionary=(--dictionary "$root/data/cmudict.txt.gz" --g2p "$data/g2p")
  asrdistill lang "${texts[@]}" "$data/lang" "${dictionary[@]}"  # aligning takes every word, open vocabulary or not
  if $open; then asrdistill lang "$data/corpus/train" "$lang" "${dictionary[@]}"; fi
  asrdistill lm "$data/corpus/train" "$lang" "$lm" --order 3 --test "$data/corpus/dev" "$data/corpus/test" "$data/corpus/test_unseen"
}
if stage 3; then together describe_language; fi

# Align a set's text by a model: align MODEL FEATURES SET LANG OUT [options]
align() {
  asrdistill align "$1" "$2" "$data/corpus/$3" "$4" "$5" "${@:6}" --jobs "$jobs"
}

start_flat() {
  asrdistill train-mono "$data/cepstra/train" "$data/corpus/train" "$data/lang" "$exp/mono" "${mono[@]}" --jobs "$jobs"
  align "$exp/mono" "$data/cepstra/train" train "$data/lang" "$exp/ali/mono/train"
}
if stage 4; then together start_flat; fi

# From here on words are as probable in their pronunciations, and silence between them, as the triphones heard them.
counted=$data/lang_counts spoken=${lang}_counts
grow_triphones() {
  train=("$data/corpus/train" "$data/lang")
  asrdistill train-tri "$data/cepstra/train" "$exp/ali/mono/train" "${train[@]}" "$exp/tri" "${tri[@]}" --jobs "$jobs"
  align "$exp/tri" "$data/cepstra/train" train "$data/lang" "$exp/ali/tri/train"
  asrdistill lang-counts "$data/lang" "$exp/ali/tri/train" "$counted"
  if $open; then asrdistill lang-counts "$lang" "$exp/ali/tri/train" "$spoken"; fi
  train=("$data/corpus/train" "$counted")
  asrdistill train-lda "$data/cepstra/train" "$exp/ali/tri/train" "${train[@]}" "$exp/lda_mllt" "${lda[@]}" --jobs "$jobs"
  align "$exp/lda_mllt" "$data/cepstra/train" train "$counted" "$exp/ali/lda_mllt/train"
  asrdistill fmllr "$exp/lda_mllt" "$data/cepstra/train" "$exp/ali/lda_mllt/train" "$data/corpus/train" "$data/fmllr/train" --jobs "$jobs"
  asrdistill train-tri "$data/fmllr/train" "$exp/ali/lda_mllt/train" "${train[@]}" "$exp/sat" "${sat[@]}" --jobs "$jobs"
  align "$exp/sat" "$data/fmllr/train" train "$counted" "$exp/ali/sat/train"
  asrdistill copies "$exp/ali/sat/train" "$data/fbank/train_copies" "$exp/ali/sat/train_copies"
  for set in dev test test_unseen; do  # what the networks are measured by: the known words, adapted by these words
    align "$exp/lda_mllt" "$data/cepstra/$set" "$set" "$counted" "$exp/ali/lda_mllt/$set"
    asrdistill fmllr "$exp/sat" "$data/cepstra/$set" "$exp/ali/lda_mllt/$set" "$data/corpus/$set" "$data/fmllr_known/$set" --jobs "$jobs"
    align "$exp/sat" "$data/fmllr_known/$set" "$set" "$counted" "$exp/ali/sat/$set"
  done
}
if stage 5; then together grow_triphones; fi

ali=$exp/ali/sat
held_out=(--held-out "$data/fbank/dev" "$ali/dev")
if stage 6; then
  seq "$seed" $((seed + teachers - 1)) | xargs -P "$jobs" -I {} \
    asrdistill train "$data/fbank/train_copies" "$ali/train_copies" "$exp/teacher.{}" "${teacher[@]}" --seed {} "${held_out[@]}"
fi

members=()
for ((i = seed; i < seed + teachers; i++)); do members+=("$exp/teacher.$i"); done
soften() {
  asrdistill ensemble "${members[@]}" "$exp/ensemble"
  asrdistill soft-targets "$exp/ensemble" "$data/fbank/train_copies" "$exp/targets" "${targets[@]}" --jobs "$jobs"
}
if stage 7; then together soften; fi

students=()
for ((i = seed; i < seed + seeds; i++)); do students+=("$exp/student.$i"); done
decode=(--config "$conf/decode.yaml" --jobs "$jobs")

scales() {  # scales MODEL: chosen on dev
  asrdistill tune "$1" "$(features_of "$1")/dev" "$spoken" "$lm" "$data/corpus/dev" "$exp/tune/$(tuned_by "$1")" \
    --config "$conf/tune.yaml" --jobs "$jobs"
}

recognise() {  # recognise MODEL [SET…]: these sets, or all but train
  local on=(dev test test_unseen)
  if (($# > 1)); then on=("${@:2}"); fi
  asrdistill decode "$1" "$(features_of "$1")" "$spoken" "$lm" "$exp/decode/$(basename "$1")" --sets "${on[@]}" \
    --tuned "$exp/tune/$(tuned_by "$1")" "${decode[@]}"
}

decode_others() {
  for model in "$exp/mono" "$exp/tri" "$exp/lda_mllt" "${members[0]}" "$exp/ensemble"; do scales "$model"; done
  for model in "$exp/mono" "$exp/tri" "$exp/lda_mllt" "${members[@]}" "$exp/ensemble"; do recognise "$model"; done
  # Speaker adaptation in two passes: what LDA and MLLT recognised says what the speakers' transforms are.
  for set in dev test test_unseen; do
    align "$exp/lda_mllt" "$data/cepstra/$set" "$set" "$spoken" "$exp/ali/heard/$set" --text "$exp/decode/lda_mllt/$set/hyp.txt"
    asrdistill fmllr "$exp/sat" "$data/cepstra/$set" "$exp/ali/heard/$set" "$data/corpus/$set" "$data/fmllr/$set" --jobs "$jobs"
  done
  recognise "$exp/sat"
}

# A network trains on one core; what the others recognise fills the rest.
students_and_others() {
  for one in "${students[@]}"; do
    asrdistill train "$data/fbank/train_copies" "$ali/train_copies" "$one" "${student[@]}" --seed "${one##*.}" \
      --soft-targets "$exp/targets" "${held_out[@]}"
  done
  in_turn decode_others
}
if stage 8; then together students_and_others $((jobs + 1)); fi

decode_students() {
  scales "${students[0]}"
  for model in "${students[@]}"; do recognise "$model"; done
}
if stage 9; then together decode_students; fi

evaluate_all() {  # side by side, each by one process
  for model in "${members[@]}" "$exp/ensemble" "${students[@]}"; do
    for set in dev test test_unseen; do
      asrdistill evaluate "$model" "$data/fbank/$set" "$ali/$set" "$exp/frames/$(basename "$model")/$set" --jobs 1
    done
  done
}

sum_up() {
  asrdistill export "${students[0]}" "$spoken" "$lm" "$exp/tune/$(basename "${students[0]}")" "$exp/student" \
    --check "$data/corpus/dev" --alignment "$ali/dev" --config "$conf/decode.yaml" --jobs "$jobs"
  asrdistill report "$exp" --config "$conf/systems.yaml" --data "$data" --lang "$spoken" --lm "$lm" --variant "$variant"
}
if stage 10; then
  together evaluate_all "$jobs"
  together sum_up
fi

# What comes after the recipe's own stages: the parts in a folder beside it, one after the other.
parts() {
  local file title begin
  for file in "$here/$1"/[0-9]*.sh; do
    title=$(basename "$file" .sh) begin=$SECONDS
    export ASRDISTILL_STAGE="$1 $title"
    printf '\n== %s, %s\n' "$1" "$title"
    # shellcheck source=/dev/null
    source "$file"
    printf '== %s: %s min\n' "$title" "$(((SECONDS - begin + 30) / 60))"
  done
}

if $paper; then
  quickly=()
  if $quick; then quickly=(--quick); fi
  (
    if ! $quick && ((seeds < 3)); then seeds=3; fi
    recipe=$exp exp=$exp/paper
    parts paper
    asrdistill report "$exp" "$root/recipes" --config "$here/paper/paper.yaml" --out "$exp/reproduction.md"
  )
fi
if $whisper; then parts whisper; fi
