# Students that the head taught: the paper's network on the train set, to be set beside the recipe's teachers, whose form,
# copies and updates it has; and small time-delay networks on all audio. Sourced by run.sh.
taught=(small causal_small) taught_seeds=(0 1 2)
if $quick || $small; then taught=(causal_small) taught_seeds=(0); fi

# Learn from the head's soft targets: teach NAME SET CONFIG [options], a network for each seed
teach() {
  local narrow=()
  if $small; then narrow=(--epochs 2 --width 64); fi
  printf '%s\n' "${taught_seeds[@]}" | xargs -P "$jobs" -I {} asrdistill train "$data/fbank/$2_copies" "$ali/train_copies" \
    "$own/$1.{}" --config "$3" --threads 1 "${narrow[@]}" --seed {} --soft-targets "$own/targets_$2" "${@:4}" "${held_out[@]}"
}

teach dnn train "$conf/student.yaml"
for name in "${taught[@]}"; do teach "$name" more "$here/paper/students/$name.yaml" --unlabelled; done

# Frames of all sets and words, by scales that were chosen on dev for the first seed: measure FEATURES NAME MODELS
measure() {
  local name model set
  asrdistill tune "$3" "$1/dev" "$spoken" "$lm" "$data/corpus/dev" "$own/tune/$2.0" --config "$conf/tune.yaml" --jobs "$jobs"
  for model in "${@:3}"; do
    name=$(basename "$model")
    for set in dev test test_unseen; do
      asrdistill evaluate "$model" "$1/$set" "$ali/$set" "$own/frames/$name/$set" --jobs "$jobs"
    done
    asrdistill decode "$model" "$1" "$spoken" "$lm" "$own/decode/$name" --sets dev test test_unseen \
      --tuned "$own/tune/$2.0" --config "$conf/decode.yaml" --jobs "$jobs"
  done
}

measure "$heard" head "${heads[@]/#/$own/head.}"
measure "$data/both" company "$own/company.0"
for name in dnn "${taught[@]}"; do measure "$data/fbank" "$name" "${taught_seeds[@]/#/$own/$name.}"; done
for name in "${taught[@]}"; do
  asrdistill export "$own/$name.0" "$spoken" "$lm" "$own/tune/$name.0" "$own/int8/$name" --to int8 --check "$data/corpus/dev" \
    --alignment "$ali/dev" --jobs "$jobs"
done

# The recipe's own teachers stand in the table as they are.
for folder in "" frames/ decode/; do
  mkdir -p "$own/$folder"
  for member in "${members[@]}"; do ln -sfn "$exp/$folder$(basename "$member")" "$own/$folder"; done
done
{
  cat "$here/whisper/systems.yaml"
  for name in "${taught[@]}"; do printf '  %s: {kind: student, models: ["%s.*"]}\n' "$name" "$name"; done
} > "$own/systems.yaml"
asrdistill report "$own" --config "$own/systems.yaml" --data "$data" --lang "$spoken" --lm "$lm" --variant whisper

# Whisper's own words, of any vocabulary.
for set in dev test test_unseen; do
  asrdistill hear "$data/corpus/$set" "$own/heard/$set" --jobs "$jobs"
  asrdistill score "$data/corpus/$set/text" "$own/heard/$set/text"
done
