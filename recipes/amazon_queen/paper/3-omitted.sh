# The missing digit on speech: students whose transfer set has no frame of S, the commonest consonant. Sourced by run.sh.
# The same student of all phones stands beside it; both learn from soft targets alone, since hard ones only teach that
# an S never comes. The bias is chosen on dev. A phone is tens of senones, so that a right frame is a right senone.
omitted=$exp/omitted
learning=("${student[@]}" --soft-targets "$exp/targets" --hard-weight 0 --epochs 1 --threads 1)
learn_with_and_without() {
  for ((i = seed; i < seed + seeds; i++)); do
    asrdistill train "${pair[@]}" "$omitted/all.$i" "${learning[@]}" --seed "$i"
    asrdistill train "${pair[@]}" "$omitted/without_S.$i" "${learning[@]}" --seed "$i" --omit S
  done
}
together learn_with_and_without "$jobs"
for ((i = seed; i < seed + seeds; i++)); do
  asrdistill bias "$omitted/without_S.$i" "$data/fbank/dev" "$ali/dev" "$omitted/without_S_bias.$i" --phones S --jobs "$jobs"
  for system in all without_S without_S_bias; do
    asrdistill evaluate "$omitted/$system.$i" "$data/fbank/test" "$ali/test" "$omitted/frames/$system.$i/test" --jobs "$jobs"
  done
done
asrdistill report "$omitted" --config "$conf/omitted.yaml"
