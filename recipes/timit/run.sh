#!/usr/bin/env bash
# Phone recognition on TIMIT: from hand-made phone labels (but not their times) to a distilled student.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: recipes/timit/run.sh --timit PATH [options]

  --timit PATH     folder of LDC93S1, or of a sample of it with the same folders
  --stage N        begin at stage N (default 1)
  --stop-stage N   end after stage N (default 11)
  --seeds N        students to train, each with its own seed (default 1)
  --seed N         seed of the first student, and the first of the teachers' (default 0)
  --jobs N         processes (default: the processors of this machine)
  --data DIR       where the corpus goes (default recipes/timit/data/default)
  --exp DIR        where models and results go (default recipes/timit/exp/default)

stages, with their time for a sample of 5 minutes on two cores with AVX2:
HELP
  list_stages
  cat <<'HELP'

A stage that is up to date is skipped; a run that was killed goes on where it was.

A sample has no development speakers of its own, so some train speakers make dev. Everything is then made
twice: without them, in EXP/left_out, where dev chooses the decoder's scales; and with them, in EXP.
HELP
}

stages=(
  "corpus: data directories of the standard sets, or of a sample|0.1 min"
  "features: filterbanks, and cepstra made of them|0.1 min"
  "language: 48 phones, bigram|0.1 min"
  "flat start: monophone GMM|0.5 min"
  "triphones: decision trees, LDA and MLLT, adaptation to speakers|1.5 min"
  "GMM decoding: scales tuned on dev, all sets adapted to speakers|0.5 min"
  "realignment: by a first network|2 min"
  "teachers: four networks that differ in their seed|5 min"
  "student: of the soft targets of their ensemble|2 min"
  "decoding: by the networks|1 min"
  "score: frame accuracy, phone error rate of 39 phones|0.2 min"
)

flags="" values="timit"
# shellcheck source=recipes/recipe.sh
source "$(dirname "${BASH_SOURCE[0]}")/../recipe.sh" "$@"
data=${data:-$here/data/default}
exp=${exp:-$here/exp/default}
[[ $first -gt 1 || -n $timit ]] || { echo "run.sh: give the folder of TIMIT with --timit PATH" >&2; exit 2; }
"$root/tools/install.sh"
PATH=$root/.venv/bin:$PATH

if stage 1; then
  asrdistill prepare timit "$timit" "$data/corpus" --jobs "$jobs"
fi

# What is trained on which set: once for a whole TIMIT, for a sample with and without its dev speakers.
size=full trains=(train) outs=("$exp") scored=("dev test test_complete")
if [[ -d $data/corpus/train_and_dev ]]; then
  size=sample trains=(train train_and_dev) outs=("$exp/left_out" "$exp") scored=(dev test)
fi
read -ra sets <<< "${scored[*]}"
each() {  # each COMMAND: with every train set $train, the folder $out of its models and the sets $recognised by them
  local i train out recognised
  for i in "${!trains[@]}"; do
    train=${trains[i]} out=${outs[i]}
    read -ra recognised <<< "${scored[i]}"
    "$@"
  done
}

if stage 2; then
  for set in "${trains[@]}" "${sets[@]}"; do
    asrdistill features "$data/corpus/$set" "$data/fbank/$set" --config "$conf/fbank.yaml" --jobs "$jobs"
    asrdistill cepstra "$data/fbank/$set" "$data/corpus/$set" "$data/cepstra/$set" --config "$conf/cepstra.yaml" --jobs "$jobs"
  done
  # What the networks learn from: every utterance slower and faster as well, as if others had said it.
  for set in "${trains[@]}"; do
    asrdistill features "$data/corpus/$set" "$data/fbank/${set}_copies" --config "$conf/fbank.yaml" --speeds 0.9 1.1 --jobs "$jobs"
    asrdistill cepstra "$data/fbank/${set}_copies" "$data/corpus/$set" "$data/cepstra/${set}_copies" --config "$conf/cepstra.yaml" --jobs "$jobs"
  done
fi

lang=$data/lang
if stage 3; then
  asrdistill lang "${trains[@]/#/$data/corpus/}" "${sets[@]/#/$data/corpus/}" "$lang" --phones sil
  for set in "${trains[@]}"; do
    asrdistill lm "$data/corpus/$set" "$lang" "$data/lm/$set" --order 2 --test "${sets[@]/#/$data/corpus/}"
  done
fi

# Align a set's text by a model: align MODEL FEATURES SET OUT [options]
align() {
  asrdistill align "$1" "$2" "$data/corpus/$3" "$lang" "$4" "${@:5}" --jobs "$jobs"
}

flat_start() {
  asrdistill train-mono "$data/cepstra/$train" "$data/corpus/$train" "$lang" "$out/mono" --config "$conf/$size/mono.yaml" --jobs "$jobs"
  align "$out/mono" "$data/cepstra/$train" "$train" "$out/ali/mono/$train"
}
if stage 4; then each flat_start; fi

triphones() {
  local said=("$data/corpus/$train" "$lang") ali=$out/ali cepstra=$data/cepstra/$train fmllr=$out/fmllr/$train
  asrdistill train-tri "$cepstra" "$ali/mono/$train" "${said[@]}" "$out/tri" --config "$conf/$size/tri.yaml" --jobs "$jobs"
  align "$out/tri" "$cepstra" "$train" "$ali/tri/$train"
  asrdistill train-lda "$cepstra" "$ali/tri/$train" "${said[@]}" "$out/lda_mllt" --config "$conf/$size/lda_mllt.yaml" --jobs "$jobs"
  align "$out/lda_mllt" "$cepstra" "$train" "$ali/lda_mllt/$train"
  asrdistill fmllr "$out/lda_mllt" "$cepstra" "$ali/lda_mllt/$train" "$data/corpus/$train" "$fmllr" --jobs "$jobs"
  asrdistill train-tri "$fmllr" "$ali/lda_mllt/$train" "${said[@]}" "$out/sat" --config "$conf/$size/sat.yaml" --jobs "$jobs"
  align "$out/sat" "$fmllr" "$train" "$ali/sat/$train"
}
if stage 5; then each triphones; fi

# Decode the sets by a model: recognise MODEL FEATURES SCALES; scales are chosen on dev where it was not trained on
decode=(--config "$conf/decode.yaml" --jobs "$jobs")
recognise() {
  local name
  name=$(basename "$1")
  if [[ $3 == "$name" && $out == "${outs[0]}" ]]; then
    asrdistill tune "$1" "$2/dev" "$lang" "$data/lm/$train" "$data/corpus/dev" "$out/tune/$name" "${decode[@]}"
  fi
  asrdistill decode "$1" "$2" "$lang" "$data/lm/$train" "$out/decode/$name" --sets "${recognised[@]}" \
    --tuned "${outs[0]}/tune/$3" "${decode[@]}"
}

gmm_decoding() {
  local model set
  for model in mono tri lda_mllt; do recognise "$out/$model" "$data/cepstra" "$model"; done
  # Speaker adaptation in two passes: what LDA and MLLT recognised says what the speakers' transforms are.
  for set in "${recognised[@]}"; do
    align "$out/lda_mllt" "$data/cepstra/$set" "$set" "$out/ali/heard/$set" --text "$out/decode/lda_mllt/$set/hyp.txt"
    asrdistill fmllr "$out/sat" "$data/cepstra/$set" "$out/ali/heard/$set" "$data/corpus/$set" "$out/fmllr/$set" --jobs "$jobs"
  done
  recognise "$out/sat" "$out/fmllr" sat
}
if stage 6; then each gmm_decoding; fi

# The networks see what the speaker-adapted GMM sees, of the copies too, and learn how a first network aligns it.
copies() { asrdistill copies "$1/$train" "$data/fbank/${train}_copies" "$1/${train}_copies"; }
realignment() {
  copies "$out/ali/sat"
  asrdistill fmllr "$out/sat" "$data/cepstra/${train}_copies" "$out/ali/sat/${train}_copies" "$data/corpus/$train" \
    "$out/fmllr/${train}_copies" --jobs "$jobs"
  asrdistill train "$out/fmllr/${train}_copies" "$out/ali/sat/${train}_copies" "$out/first" --config "$conf/$size/teacher.yaml"
  for set in "$train" "${recognised[@]}"; do
    align "$out/first" "$out/fmllr/$set" "$set" "$out/ali/first/$set"
  done
  copies "$out/ali/first"
}
if stage 7; then each realignment; fi

members() { seq -f "$out/teacher.%g" "$seed" $((seed + 3)); }
teachers() {
  local held_out=()
  if [[ " ${recognised[*]} " == *" dev "* ]]; then held_out=(--held-out "$out/fmllr/dev" "$out/ali/first/dev"); fi
  seq "$seed" $((seed + 3)) | xargs -P "$jobs" -I {} asrdistill train "$out/fmllr/${train}_copies" "$out/ali/first/${train}_copies" \
    "$out/teacher.{}" --config "$conf/$size/teacher.yaml" --seed {} "${held_out[@]}"
}
if stage 8; then each teachers; fi

# The speaker-adapted GMM teaches along: it errs in other places than the networks. Dev PER of the sample: the GMM 42.1,
# a network without copies 42.4, both together with this power of the GMM's likelihoods 38.2 (with 0.4: 38.5), a student of
# both on copies 39.4.
power=0.2
students_of() { seq -f "$out/student.%g" "$seed" $((seed + seeds - 1)); }
student() {
  local model models
  mapfile -t models < <(members)
  asrdistill ensemble "${models[@]}" "$out/ensemble" --gmm "$out/sat" "$power"
  asrdistill soft-targets "$out/ensemble" "$out/fmllr/${train}_copies" "$out/targets" --config "$conf/targets.yaml" --jobs "$jobs"
  seq "$seed" $((seed + seeds - 1)) | xargs -P "$jobs" -I {} asrdistill train "$out/fmllr/${train}_copies" "$out/ali/first/${train}_copies" \
    "$out/student.{}" --config "$conf/$size/student.yaml" --seed {} --soft-targets "$out/targets"
}
if stage 9; then each student; fi

decoding() {
  local model models
  mapfile -t models < <(members)
  for model in "${models[@]}"; do recognise "$model" "$out/fmllr" "teacher.$seed"; done
  recognise "$out/ensemble" "$out/fmllr" ensemble
  mapfile -t models < <(students_of)
  for model in "${models[@]}"; do recognise "$model" "$out/fmllr" "student.$seed"; done
}
if stage 10; then each decoding; fi

restored() {  # what prepare had to do to the audio, in a sentence
  local files=("$data"/corpus/audio/*.wav)
  [[ ! -e ${files[0]} ]] || echo "${#files[@]} recordings had lost bytes in a conversion of line ends and were restored," \
    "by how smooth speech is, without their labels."
}

scoring() {
  local model models set
  mapfile -t models < <(members; echo "$out/ensemble"; students_of)
  for model in "${models[@]}"; do
    for set in "${recognised[@]}"; do
      asrdistill evaluate "$model" "$out/fmllr/$set" "$out/ali/first/$set" "$out/frames/$(basename "$model")/$set" --jobs "$jobs"
    done
  done
  printf 'corpus: TIMIT, %s, 39 phones\nnote: "%s"\nmap: %s\nsets: [%s]\n' "$size" "$(restored)" \
    "$root/data/timit_phones.txt" "$(IFS=,; echo "${recognised[*]}")" | cat - "$conf/systems.yaml" > "$out/systems.yaml"
  asrdistill report "$out" --config "$out/systems.yaml" --data "$data" --lang "$lang" --lm "$data/lm/$train" --variant "$size"
}
if stage 11; then each scoring; fi
