# A student that is better than an ensemble of networks like itself: the paper's network, taught by the recipe's own
# ensemble of time-delay networks. Sourced by run.sh.
better_seeds=3
if $quick; then better_seeds=1; fi
learn_from_better_teachers() {
  for ((i = seed; i < seed + better_seeds; i++)); do
    asrdistill train "${pair[@]}" "$exp/better.$i" "${student[@]}" --seed "$i" --soft-targets "$better" "${held_out[@]}"
  done
}
together learn_from_better_teachers "$jobs"
measure_better() {
  for ((i = seed; i < seed + better_seeds; i++)); do
    for set in dev test test_unseen; do
      asrdistill evaluate "$exp/better.$i" "$data/fbank/$set" "$ali/$set" "$exp/frames/better.$i/$set" --jobs 1
    done
  done
  if ! $quick; then
    scales "$exp/better.$seed"
    for ((i = seed; i < seed + better_seeds; i++)); do recognise "$exp/better.$i"; done
  fi
}
together measure_better
