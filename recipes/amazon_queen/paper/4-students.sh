# Small students for real machines: each size taught by the recipe's own ensemble and without a teacher, equal updates.
# Sourced by run.sh.
sizes=(tiny small medium large huge causal_medium causal_large recurrent) shares=(0.25 0.5 1.0)
length=()
if $quick; then sizes=(small) shares=() length=(--epochs 1); fi
students_at=$exp/students

# Train on soft targets or hard ones: train_student CONFIG KIND SEED OUT
train_student() {
  local soft=()
  if [[ $2 == soft ]]; then soft=(--soft-targets "$better"); fi
  asrdistill train "${pair[@]}" "$4" --config "$here/paper/students/$1.yaml" \
    --seed "$3" "${soft[@]}" --held-out "$data/fbank/dev" "$ali/dev" "${length[@]}"
}

train_students() {
  for kind in soft hard; do
    for ((number = 0; number < seeds; number++)); do
      for size in "${sizes[@]}"; do train_student "$size" "$kind" "$number" "$students_at/$size.$kind.$number"; done
      if ! $quick; then train_student slimmable "$kind" "$number" "$students_at/slimmable/$kind.$number"; fi
    done
  done
}
together train_students "$jobs"

# Frames of all sets and words, by scales that were chosen on dev for the first seed: measure_student MODEL
measure_student() {
  local name=$1 first=${1%.*}.0
  asrdistill tune "$students_at/$first" "$data/fbank/dev" "$spoken" "$lm" "$data/corpus/dev" "$students_at/tune/$first" \
    --config "$conf/tune.yaml" --jobs "$jobs"
  for set in dev test test_unseen; do
    asrdistill evaluate "$students_at/$name" "$data/fbank/$set" "$ali/$set" "$students_at/frames/$name/$set" --jobs "$jobs"
  done
  asrdistill decode "$students_at/$name" "$data/fbank" "$spoken" "$lm" "$students_at/decode/$name" --sets dev test test_unseen \
    --tuned "$students_at/tune/$first" --config "$conf/decode.yaml" --graph "$students_at/graph" --jobs "$jobs"
}

measure_all() {
  for size in "${sizes[@]}"; do
    for kind in soft hard; do
      for ((number = 0; number < seeds; number++)); do measure_student "$size.$kind.$number"; done
    done
    if [[ $size == recurrent ]]; then continue; fi  # it has no int8 form
    asrdistill export "$students_at/$size.soft.0" "$spoken" "$lm" "$students_at/tune/$size.soft.0" "$students_at/int8/$size" \
      --to int8 --check "$data/corpus/dev" --alignment "$ali/dev" --config "$conf/decode.yaml" --jobs "$jobs"
  done

  # One network that is several: each of its widths counts as a size.
  for share in "${shares[@]}"; do
    for kind in soft hard; do
      for ((number = 0; number < seeds; number++)); do
        asrdistill slim "$students_at/slimmable/$kind.$number" "$share" "$students_at/slim_$share.$kind.$number"
        measure_student "slim_$share.$kind.$number"
      done
    done
  done
}
together measure_all

asrdistill report "$students_at" --config "$conf/students.yaml" --data "$data" --lang "$spoken" --lm "$lm"
