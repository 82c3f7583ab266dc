# A student that is better than an ensemble of networks like itself: better teachers, which are time-delay networks as large
# as a DNN, teach the recipe's DNN, and one of their own kind. Sourced by run.sh.
if ! $quick; then  # for it trains teachers of its own
  better=$exp/paper/better
  learn=(train "$data/fbank/train_copies" "$ali/train_copies")
  tdnn=(--config "$here/paper/students/large.yaml" --epochs 1)
  if $small; then tdnn+=(--width 64); fi
  seq "$seed" $((seed + teachers - 1)) | xargs -P "$jobs" -I {} \
    asrdistill "${learn[@]}" "$better/teacher.{}" "${tdnn[@]}" --seed {} "${held_out[@]}"
  asrdistill ensemble "${members[@]/#$exp/$better}" "$better/ensemble"
  asrdistill soft-targets "$better/ensemble" "$data/fbank/train_copies" "$better/targets" "${targets[@]}" --jobs "$jobs"

  learn_from_better_teachers() {
    local soft=(--soft-targets "$better/targets" "${held_out[@]}") number
    for number in "${students[@]##*.}"; do
      asrdistill "${learn[@]}" "$better/student.$number" "${student[@]}" --seed "$number" "${soft[@]}"
      asrdistill "${learn[@]}" "$better/tdnn.$number" "${tdnn[@]}" --seed "$number" "${soft[@]}"
    done
  }
  together learn_from_better_teachers "$jobs"

  (  # as the recipe measures its own
    members=("${members[@]/#$exp/$better}")
    students=("${students[@]/#$exp/$better}" "${students[@]/#$exp\/student/$better/tdnn}")
    exp=$better
    decode_better() {
      for model in "${members[0]}" "$exp/ensemble" "$exp/student.$seed" "$exp/tdnn.$seed"; do scales "$model"; done
      for model in "${members[@]}" "$exp/ensemble" "${students[@]}"; do recognise "$model"; done
    }
    together evaluate_all "$jobs"
    together decode_better
  )

  # The recipe's own teachers stand in the table beside them.
  for folder in "" frames/ decode/; do
    mkdir -p "$better/$folder"
    for model in "${members[@]}" "$exp/ensemble"; do
      ln -sfn "$exp/$folder$(basename "$model")" "$better/${folder}dnn_$(basename "$model")"
    done
  done
  asrdistill report "$better" --config "$conf/better.yaml" --data "$data" --lang "$spoken" --lm "$lm" --variant better
fi
