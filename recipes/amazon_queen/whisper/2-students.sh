# Students that the head taught: the paper's network on the train set, which is to be set beside the recipe's teachers,
# whose updates, copies and form it has; and small time-delay networks on all audio. Sourced by run.sh.
sizes=(wide large small causal_small) taught_seeds=(0 1 2)
if $quick || $small; then sizes=(causal_small) taught_seeds=(0); fi

# Learn from the head's soft targets: teach NAME SEED SET CONFIG [options]
teach() {
  local narrow=()
  if $small; then narrow=(--epochs 2 --width 64); fi
  asrdistill train "$data/fbank/$3_copies" "$ali/train_copies" "$own/$1.$2" --config "$4" "${narrow[@]}" --seed "$2" \
    --soft-targets "$own/targets_$3" "${@:5}" "${held_out[@]}"
}

# Frames of all sets and words, by scales that were chosen on dev for the first seed: measure MODEL FEATURES
measure() {
  local name set
  name=$(basename "$1")
  asrdistill tune "${1%.*}.0" "$2/dev" "$spoken" "$lm" "$data/corpus/dev" "$own/tune/${name%.*}" --config "$conf/tune.yaml" --jobs "$jobs"
  for set in dev test test_unseen; do
    asrdistill evaluate "$1" "$2/$set" "$ali/$set" "$own/frames/$name/$set" --jobs "$jobs"
    asrdistill decode "$1" "$2/$set" "$spoken" "$lm" "$own/decode/$name/$set" --tuned "$own/tune/${name%.*}" \
      --config "$conf/decode.yaml" --jobs "$jobs"
  done
}

for number in "${heads[@]}"; do measure "$own/head.$number" "$heard"; done
measure "$own/company" "$data/both"
