# The paper's networks, DNNs on windows of frames, in the place of the recipe's time-delay networks: teachers, their
# ensemble, its soft targets, a student. Sourced by run.sh.
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
teach() {
  asrdistill ensemble "${members[@]}" "$exp/ensemble"
  asrdistill soft-targets "$exp/ensemble" "$data/fbank/$heard" "$exp/targets" "${targets[@]}" --jobs "$jobs"
  if $quick; then asrdistill soft-targets "$recipe/ensemble" "$data/fbank/$heard" "$better" "${targets[@]}" --jobs "$jobs"; fi
  asrdistill train "${pair[@]}" "$exp/student.$seed" "${student[@]}" --seed "$seed" --soft-targets "$exp/targets" "${held_out[@]}"
}
together teach

# Scales and beams that the sweeps decode with.
decode_one_of_each() {
  for model in "${members[0]}" "$exp/ensemble" "$exp/student.$seed"; do
    scales "$model"
    recognise "$model"
  done
}
together decode_one_of_each
