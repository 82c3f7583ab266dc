# The paper's networks, DNNs on windows of frames, in the place of the recipe's time-delay networks: teachers, their
# ensemble, its soft targets, a student; and a student that is better than an ensemble of networks like itself, taught by
# the recipe's own ensemble of time-delay networks. Sourced by run.sh.
# The quick form learns once from the utterances without their copies, here and in the parts that follow; so what the
# recipe's own ensemble says of these is stored too.
teacher=(--config "$here/paper/networks/teacher.yaml") student=(--config "$here/paper/networks/student.yaml")
targets+=(--temperatures 1 2 5 10)  # part 1's: it need not make a store for them
heard=train_copies better=$recipe/targets
if $small; then teacher+=(--width 128) student+=(--width 128); fi
if $quick; then teacher+=(--epochs 1) student+=(--epochs 1) heard=train better=$exp/better_targets; fi
pair=("$data/fbank/$heard" "$ali/$heard")

seq "$seed" $((seed + teachers - 1)) | xargs -P "$jobs" -I {} \
  asrdistill train "${pair[@]}" "$exp/teacher.{}" "${teacher[@]}" --seed {} "${held_out[@]}"
members=()
for ((i = seed; i < seed + teachers; i++)); do members+=("$exp/teacher.$i"); done
soften_both() {
  asrdistill ensemble "${members[@]}" "$exp/ensemble"
  asrdistill soft-targets "$exp/ensemble" "$data/fbank/$heard" "$exp/targets" "${targets[@]}" --jobs "$jobs"
  if $quick; then asrdistill soft-targets "$recipe/ensemble" "$data/fbank/$heard" "$better" "${targets[@]}" --jobs "$jobs"; fi
}
together soften_both

students=()
for ((i = seed; i < seed + seeds; i++)); do students+=("$exp/better.$i"); done
learn_from() {  # learn_from TARGETS MODEL
  asrdistill train "${pair[@]}" "$2" "${student[@]}" --seed "${2##*.}" --soft-targets "$1" "${held_out[@]}"
}
learn_from_both() {
  learn_from "$exp/targets" "$exp/student.$seed"
  for one in "${students[@]}"; do learn_from "$better" "$one"; done
}
together learn_from_both "$jobs"

# Scales and beams that the sweeps decode with; they recognise the other sets where they are to tell of words.
decode_one_of_each() {
  for model in "${members[0]}" "$exp/ensemble" "$exp/student.$seed"; do
    scales "$model"
    recognise "$model" dev
  done
}
together decode_one_of_each
if ! $quick; then together decode_students; fi
students+=("$exp/student.$seed")
together evaluate_all "$jobs"
