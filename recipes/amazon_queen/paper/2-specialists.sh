# Section 5, Tables 3 and 4: specialists of a teacher that has learnt to the end (--quick: of the first teacher), with a
# dustbin as the paper has them; of their own senones alone, for as many updates, and one student of it and these; with
# the full softmax, which it teaches too. Sourced by run.sh. Beside them stand the generalist trained on for at least as
# many updates as all specialists had, it and another teacher (about the multiplications and the updates), and all teachers.
own=$exp/specialists specialists=15 generalist=$exp/specialists/generalist
if $quick; then
  specialists=8 generalist=$exp/teacher.$seed
else
  asrdistill train "${pair[@]}" "$generalist" "${teacher[@]}" --seed "$seed" --epochs 5 "${held_out[@]}"
fi
specialise=(--from "$generalist" --config "$conf/specialist.yaml" --seed "$seed")

asrdistill specialists "$generalist" "$data/fbank/train" "$own/sets" --sets "$specialists" --size 80 --seed "$seed" --jobs "$jobs"
asrdistill soft-targets "$generalist" "$data/fbank/$heard" "$own/generalist_targets" --keep 24 --jobs "$jobs"

# Train one for each set, side by side, and put them together: specialists_of SETS NAME [options]
specialists_of() {
  local sets=$1 name=$2 more=("${@:3}") members=() k
  for ((k = 0; k < specialists; k++)); do members+=("$own/$name.members/$k"); done
  learn_each() {
    for one in "${members[@]}"; do
      asrdistill train "${pair[@]}" "$one" "${specialise[@]}" --specialist "$sets" "$(basename "$one")" "${more[@]}"
    done
  }
  together learn_each "$jobs"
  asrdistill specialists-ensemble "$generalist" "${members[@]}" "$own/$name"
}

specialists_of "$own/sets" specialists
specialists_of "$own/sets" specialists_own --softmax own --epochs 2  # an epoch has half as many frames
specialists_of "$own/sets" specialists_full --softmax full --soft-targets "$own/generalist_targets"
others=("$own/specialists_own" "$own/specialists_full" "$own/trained_on" "$own/two_teachers" "$exp/ensemble" "$own/specialists_student")
if ! $quick; then
  asrdistill specialists "$generalist" "$data/fbank/train" "$own/phone_sets" --by phones --sets "$specialists" --size 80 \
    --seed "$seed" --jobs "$jobs"
  specialists_of "$own/phone_sets" specialists_phones
  others+=("$own/specialists_phones")
fi

updates=$(awk -F '[:,]' '/^ "updates"/ { sum += $2 } END { print sum }' "$own"/specialists.members/*/meta.json)
frames=$(awk -F '[:,]' '/^ "frames"/ { print $2 * copies }' copies="$($quick && echo 1 || echo 3)" "$own/sets/sets.json")
asrdistill ensemble "$generalist" "${members[1]}" "$own/two_teachers"
asrdistill soft-targets "$own/specialists_own" "$data/fbank/$heard" "$own/targets" "${targets[@]}" --jobs "$jobs"
learn_alone_and_from_them() {
  asrdistill train "${pair[@]}" "$own/trained_on" "${specialise[@]}" --learning-rate 1e-3 \
    --epochs $((updates * 512 / frames + 1))
  asrdistill train "${pair[@]}" "$own/specialists_student" "${student[@]}" --seed "$seed" --soft-targets "$own/targets" \
    "${held_out[@]}"
}
together learn_alone_and_from_them "$jobs"

pooled=(--on "$data/fbank/test" "$ali/test" --on "$data/fbank/test_unseen" "$ali/test_unseen")
measure_specialists() {  # measure_specialists NAME [--on FEATURES ALIGNMENT]…
  asrdistill specialists-evaluate "$own/specialists" "$own/tables/$1" "${@:2}" --against "${others[@]}" --jobs "$jobs"
}
measure_specialists pooled "${pooled[@]}"
if ! $quick; then measure_specialists dev --on "$data/fbank/dev" "$ali/dev"; fi

decode_beside_the_generalist() {
  for model in "$own/trained_on" "$own/specialists_own" "$own/specialists_student"; do
    name=$(basename "$model")
    for set in dev test test_unseen; do
      asrdistill evaluate "$model" "$data/fbank/$set" "$ali/$set" "$exp/frames/$name/$set" --jobs "$jobs"
    done
    scales "$model"
    recognise "$model"
  done
}
if ! $quick; then together decode_beside_the_generalist; fi
cat "$own/tables/pooled/specialists.md"
