# Students that the head taught. Sourced by run.sh.
#   dnn           the paper's network on filterbanks of all audio, with four fifths of the updates of
#   dnn_hard      the same network on the train set's alignment
#   cut           the first two of the encoder's four blocks, hearing half a second ahead, with a head of their own, on
#                 all audio: 4.9 M parameters
#   small, causal_medium    time-delay networks on filterbanks of all audio; the latter looks at nothing to come
cut_encoder=whisper:tiny.en@2+0.5 cut_heard=$data/whisper_cut
tdnns=(small causal_medium) brief=()
if $quick || $small; then tdnns=(causal_medium) brief=(--epochs 1); fi
for set in more dev test test_unseen; do
  asrdistill encode "$cut_encoder" "$data/fbank/$set" "$data/corpus/$set" "$cut_heard/$set" --jobs "$jobs"
done

narrow=()
if $small; then narrow=(--epochs 2 --width 64); fi

# Train a network for each seed: teach NAME CONFIG FEATURES ALIGNMENT DEV [options]
teach() {
  local number
  for number in "${numbers[@]}"; do
    asrdistill train "$3" "$4" "$own/$1.$number" --config "$2" --threads 1 "${narrow[@]}" --seed "$number" \
      --held-out "$5" "$ali/dev" "${@:6}"
  done
}

teach_all() {
  local networks=$here/paper/networks more=("$data/fbank/more_copies" "$ali/train_copies" "$data/fbank/dev")
  local taught=(--soft-targets "$own/targets_more" --unlabelled)
  teach cut "$here/whisper/cut.yaml" "$cut_heard/more" "$ali/train" "$cut_heard/dev" --soft-targets "$own/targets" --unlabelled
  teach dnn "$networks/student.yaml" "${more[@]}" "${taught[@]}" --epochs 1
  teach dnn_hard "$networks/teacher.yaml" "$data/fbank/train_copies" "${more[@]:1}"
  for name in "${tdnns[@]}"; do teach "$name" "$here/paper/students/$name.yaml" "${more[@]}" "${taught[@]}" "${brief[@]}"; done
}
together teach_all "$jobs"

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

# Put the first seed's network into a folder that transcribes: hand NAME [options]
hand() {
  asrdistill export "$own/$1.0" "$spoken" "$lm" "$own/tune/$1.0" "$own/hand/$1" --check "$data/corpus/dev" \
    --alignment "$ali/dev" --config "$conf/decode.yaml" --jobs "$jobs" "${@:2}"
}

measure_all() {
  measure "$heard" head "${numbers[@]/#/$own/head.}"
  measure "$data/both" company "$own/company.0"
  measure "$cut_heard" cut "${numbers[@]/#/$own/cut.}"
  hand cut --encoder "$cut_encoder"
  for name in dnn dnn_hard "${tdnns[@]}"; do measure "$data/fbank" "$name" "${numbers[@]/#/$own/$name.}"; done
  hand dnn --to int8
  for name in "${tdnns[@]}"; do  # so small that it is the search that takes their time
    hand "$name" --to int8 --beam 8 --word-end-beam 5 --max-active 2000
  done
}
together measure_all

# The recipe's own teachers stand in the table as they are.
for folder in "" frames/ decode/; do
  mkdir -p "$own/$folder"
  for member in "${members[@]}"; do ln -sfn "$exp/$folder$(basename "$member")" "$own/$folder"; done
done
{
  cat "$here/whisper/systems.yaml"
  for name in "${tdnns[@]}"; do printf '  %s: {kind: student, models: ["%s.*"]}\n' "$name" "$name"; done
} > "$own/systems.yaml"
asrdistill report "$own" --config "$own/systems.yaml" --data "$data" --lang "$spoken" --lm "$lm" --variant whisper

# Whisper's own words, of any vocabulary.
for set in dev test test_unseen; do
  asrdistill hear "$data/corpus/$set" "$own/heard/$set" --jobs "$jobs"
  asrdistill score "$data/corpus/$set/text" "$own/heard/$set/text"
done
