# A student that is better than an ensemble of networks like itself: the paper's network, taught by the recipe's own
# ensemble of time-delay networks. Sourced by run.sh.
students=()  # what run.sh's own functions measure
for ((i = seed; i < seed + seeds; i++)); do students+=("$exp/better.$i"); done
learn_from_better_teachers() {
  for one in "${students[@]}"; do
    asrdistill train "${pair[@]}" "$one" "${student[@]}" --seed "${one##*.}" --soft-targets "$better" "${held_out[@]}"
  done
}
together learn_from_better_teachers "$jobs"
together evaluate_all "$jobs"
if ! $quick; then together decode_students; fi
