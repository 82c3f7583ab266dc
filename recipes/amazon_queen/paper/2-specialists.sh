# Section 5, Tables 3 and 4: specialists of the first teacher; those with the full softmax, which it teaches too, and one
# student of it and them. Sourced by run.sh. Beside them stand the generalist trained on for at least as many updates as
# all specialists had, two teachers (about the multiplications of a frame) and all teachers (about the updates).
own=$exp/specialists generalist=$exp/teacher.$seed
specialists=15 specialise=(--from "$generalist" --config "$conf/specialist.yaml" --seed "$seed")
if $quick; then specialists=8; fi

asrdistill specialists "$generalist" "$data/fbank/train" "$own/sets" --sets "$specialists" --size 80 --seed "$seed" --jobs "$jobs"
asrdistill soft-targets "$generalist" "$data/fbank/$heard" "$own/generalist_targets" --keep 24 --jobs "$jobs"

# Train one for each set, side by side, and put them together, where so many of the generalist's most probable senones
# say who speaks: specialists_of SETS NAME ACTIVE [options]
specialists_of() {
  local members=() k
  seq 0 $((specialists - 1)) | xargs -P "$jobs" -I {} \
    asrdistill train "${pair[@]}" "$own/$2.members/{}" "${specialise[@]}" --specialist "$1" {} "${@:4}"
  for ((k = 0; k < specialists; k++)); do members+=("$own/$2.members/$k"); done
  asrdistill specialists-ensemble "$generalist" "${members[@]}" "$own/$2" --active "$3"
}

specialists_of "$own/sets" specialists 1
specialists_of "$own/sets" specialists_full 3 --full-softmax --soft-targets "$own/generalist_targets"
others=("$own/specialists_full" "$own/trained_on" "$own/two_teachers" "$exp/ensemble" "$own/specialists_student")
if ! $quick; then
  asrdistill specialists "$generalist" "$data/fbank/train" "$own/phone_sets" --by phones --sets "$specialists" --size 80 \
    --seed "$seed" --jobs "$jobs"
  specialists_of "$own/phone_sets" specialists_phones 1
  others+=("$own/specialists_phones")
fi

updates=$(awk -F '[:,]' '/^ "updates"/ { sum += $2 } END { print sum }' "$own"/specialists.members/*/meta.json)
frames=$(awk -F '[:,]' '/^ "frames"/ { print $2 * copies }' copies="$($quick && echo 1 || echo 3)" "$own/sets/sets.json")
asrdistill ensemble "${members[@]:0:2}" "$own/two_teachers"
asrdistill soft-targets "$own/specialists_full" "$data/fbank/$heard" "$own/targets" "${targets[@]}" --jobs "$jobs"
learn_alone_and_from_them() {
  asrdistill train "${pair[@]}" "$own/trained_on" "${specialise[@]}" --epochs $((updates * 512 / frames + 1))
  asrdistill train "${pair[@]}" "$own/specialists_student" "${student[@]}" --seed "$seed" --soft-targets "$own/targets" \
    "${held_out[@]}"
}
together learn_alone_and_from_them "$jobs"

dev=(--on "$data/fbank/dev" "$ali/dev")
pooled=(--on "$data/fbank/test" "$ali/test" --on "$data/fbank/test_unseen" "$ali/test_unseen")
asrdistill specialists-evaluate "$own/specialists" "$own/tables/dev" "${dev[@]}" --against "${others[@]}" --jobs "$jobs"
asrdistill specialists-evaluate "$own/specialists" "$own/tables/pooled" "${pooled[@]}" --against "${others[@]}" --jobs "$jobs"

decode_beside_the_generalist() {
  for model in "$own/trained_on" "$own/specialists_full" "$own/specialists_student"; do
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
