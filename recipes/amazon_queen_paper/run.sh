#!/usr/bin/env bash
# The other experiments of Hinton, Vinyals and Dean (2015) on speech, with the paper's kind of network: Table 1 and its
# settings, specialists (section 5), a phone that the transfer set lacks, and small students for real machines.
#
# Starts from the folders of recipes/amazon_queen/run.sh, which must have run. Takes a day on two cores with AVX2;
# with --quick --seeds 1 about an hour.
#
# Stages 1 to 3 make the networks; after them each experiment runs alone, the small students for example by
#
#   recipes/amazon_queen_paper/run.sh --stage 10 --stop-stage 12
#
#   --quick          fewer values and updates; networks learn once from the utterances without their copies
#   --small          on the folders of amazon_queen/run.sh --small; includes --quick
#   --out DIR        folder for models and results; --data and --exp are those of recipes/amazon_queen
quick=false small=false out="" seeds=3
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
variant=default sizes=$conf heard=train_copies quickly=()
if $small; then quick=true variant=small; fi
recipe=$root/recipes/amazon_queen
data=${data:-$recipe/data/$variant} exp=${exp:-$recipe/exp/$variant} out=${out:-$here/exp/$variant}
better=$out/better_targets # of the better teacher, an ensemble of time-delay networks
if $quick; then sizes=$conf/quick heard=train quickly=(--quick); fi
lang=$data/lang_probs lm=$data/lm ali=$exp/ali/sat tests=(dev test test_unseen)
train=("$data/fbank/$heard" "$ali/$heard") held_out=(--held-out "$data/fbank/dev" "$ali/dev")
decode=(--config "$recipe/conf/decode.yaml" --jobs "$jobs") tune=(--config "$recipe/conf/tune.yaml" --jobs "$jobs")

if stage 1 "teachers: the paper's networks, windows of frames; better ones; soft targets" ""; then
  asrdistill ali expand "$ali/train" "$data/fbank/train_copies" "$ali/train_copies"
  asrdistill nnet train "${train[@]}" "$out/teacher" --seeds "${teachers[@]}" --config "$sizes/teacher.yaml" "${held_out[@]}" --jobs "$jobs"
  asrdistill nnet ensemble "${teachers[@]/#/$out/teacher.}" "$out/ensemble"
  asrdistill distill targets "$out/ensemble" "$data/fbank/$heard" "$out/targets" --config "$conf/targets.yaml" --jobs "$jobs"
  asrdistill nnet train "${train[@]}" "$out/better_teacher" --seeds "${teachers[@]}" --config "$sizes/better_teacher.yaml" "${held_out[@]}" --jobs "$jobs"
  asrdistill nnet ensemble "${teachers[@]/#/$out/better_teacher.}" "$out/better_ensemble"
  asrdistill distill targets "$out/better_ensemble" "$data/fbank/$heard" "$better" --config "$conf/targets.yaml" --jobs "$jobs"
fi

if stage 2 "students: of the ensemble, and of the better one" ""; then
  asrdistill nnet train "${train[@]}" "$out/student" --seeds "$seed" --config "$sizes/student.yaml" --soft-targets "$out/targets" "${held_out[@]}" --jobs "$jobs"
  asrdistill nnet train "${train[@]}" "$out/better" --seeds "${students[@]}" --config "$sizes/student.yaml" --soft-targets "$better" "${held_out[@]}" --jobs "$jobs"
fi

if stage 3 "decode and evaluate: scales that the sweeps decode with" ""; then
  for model in "teacher.$seed" ensemble "student.$seed" "better.$seed"; do
    asrdistill decode tune "$out/$model" "$data/fbank/dev" "$lang" "$lm" "$data/corpus/dev" "$out/tune/$model" "${tune[@]}"
    asrdistill decode run "$out/$model" "$data/fbank/dev" "$lang" "$lm" "$out/decode/$model/dev" --tuned "$out/tune/$model" "${decode[@]}"
  done
  $quick || asrdistill decode run "$out/better" "$data/fbank" "$lang" "$lm" "$out/decode/better" --seeds "${students[@]}" --sets "${tests[@]}" --tuned "$out/tune/better.$seed" "${decode[@]}"
  for model in "${teachers[@]/#/teacher.}" ensemble "student.$seed" "${students[@]/#/better.}"; do asrdistill nnet evaluate "$out/$model" "$data/fbank" "$ali" "$out/frames/$model" --sets "${tests[@]}" --jobs "$jobs"; done
fi

sweeps=("$conf"/sweeps/{temperature,teachers,size,share,hard_weight,combine,keep,transfer,subsets}.yaml)
if $quick; then sweeps=("${sweeps[@]:0:4}"); fi
if stage 4 "sweeps: Table 1 and its settings, Table 5, transfer sets" ""; then
  asrdistill sweep "${sweeps[@]}" --data "$data" --exp "$out" --lang "$lang" --lm "$lm" --alignment "$ali" --heard "$heard" --seeds "$seeds" "${quickly[@]}" --jobs "$jobs"
fi

# Specialists have a dustbin as in the paper, their own senones alone (for as many updates), or the full softmax, which
# the generalist teaches too. The generalist has converged; with --quick it is the first teacher.
own=$out/specialists generalist=$out/specialists/generalist count=15
if $quick; then generalist=$out/teacher.$seed count=8; fi
mapfile -t numbers < <(seq 0 $((count - 1)))
specialist=(--from "$generalist" --config "$conf/specialist.yaml" --seed "$seed")
others=(specialists_own specialists_full) decoded=()
if ! $quick; then others+=(specialists_phones) decoded=(trained_on specialists_own specialists_student); fi
if stage 5 "specialists: the generalist, sets of senones that it confuses" ""; then
  $quick || asrdistill nnet train "${train[@]}" "$generalist" --seed "$seed" --config "$sizes/teacher.yaml" --epochs 5 "${held_out[@]}"
  asrdistill distill cluster-senones "$generalist" "$data/fbank/train" "$own/sets" --clusters "$count" --size 80 --seed "$seed" --jobs "$jobs"
  $quick || asrdistill distill cluster-senones "$generalist" "$data/fbank/train" "$own/phone_sets" --by phones --clusters "$count" --size 80 --seed "$seed" --jobs "$jobs"
  asrdistill distill targets "$generalist" "$data/fbank/$heard" "$own/generalist_targets" --keep 24 --jobs "$jobs"
fi

if stage 6 "specialists: one of each kind for each set, side by side" ""; then
  for k in "${numbers[@]}"; do
    asrdistill nnet train "${train[@]}" "$own/specialists.members/$k" "${specialist[@]}" --specialist "$own/sets" "$k" &
    asrdistill nnet train "${train[@]}" "$own/specialists_own.members/$k" "${specialist[@]}" --specialist "$own/sets" "$k" --softmax own --epochs 2 &
    asrdistill nnet train "${train[@]}" "$own/specialists_full.members/$k" "${specialist[@]}" --specialist "$own/sets" "$k" --softmax full --soft-targets "$own/generalist_targets" &
    $quick || asrdistill nnet train "${train[@]}" "$own/specialists_phones.members/$k" "${specialist[@]}" --specialist "$own/phone_sets" "$k" &
    wait_all
  done
fi

# Beside them: the generalist trained on for at least as many updates as all specialists had, two networks, a student.
if stage 7 "specialists: with their generalist, their student, the generalist trained on" ""; then
  for kind in specialists "${others[@]}"; do asrdistill nnet ensemble "${numbers[@]/#/$own/$kind.members/}" "$own/$kind" --generalist "$generalist"; done
  asrdistill nnet ensemble "$generalist" "$out/teacher.$((seed + 1))" "$own/two_teachers"
  asrdistill distill targets "$own/specialists_own" "$data/fbank/$heard" "$own/targets" --config "$conf/targets.yaml" --jobs "$jobs"
  asrdistill nnet train "${train[@]}" "$own/trained_on" "${specialist[@]}" --learning-rate 1e-3 --epochs 3 &
  asrdistill nnet train "${train[@]}" "$own/specialists_student" --seed "$seed" --config "$sizes/student.yaml" --soft-targets "$own/targets" "${held_out[@]}"
  wait_all
fi

if stage 8 "specialists: frame accuracy by coverage, Tables 3 and 4" ""; then
  asrdistill distill coverage "$own/specialists" "$own/tables/pooled" --on "$data/fbank/test" "$ali/test" --on "$data/fbank/test_unseen" "$ali/test_unseen" --against "${others[@]/#/$own/}" "$own"/{trained_on,two_teachers,specialists_student} "$out/ensemble" --jobs "$jobs"
  for model in "${decoded[@]}"; do
    asrdistill nnet evaluate "$own/$model" "$data/fbank" "$ali" "$out/frames/$model" --sets "${tests[@]}" --jobs "$jobs"
    asrdistill decode tune "$own/$model" "$data/fbank/dev" "$lang" "$lm" "$data/corpus/dev" "$out/tune/$model" "${tune[@]}"
    asrdistill decode run "$own/$model" "$data/fbank" "$lang" "$lm" "$out/decode/$model" --sets "${tests[@]}" --tuned "$out/tune/$model" "${decode[@]}"
  done
fi

# The missing digit on speech: no frame of S, the commonest consonant. Soft targets alone: hard ones only teach that S
# never comes. The bias is chosen on dev.
omitted=$out/omitted taught=(--soft-targets "$out/targets" --hard-weight 0 --epochs 1)
if stage 9 "omitted phone: students with and without frames of S, a bias for S" ""; then
  asrdistill nnet train "${train[@]}" "$omitted/all" --seeds "${students[@]}" --config "$sizes/student.yaml" "${taught[@]}" --jobs "$jobs"
  asrdistill nnet train "${train[@]}" "$omitted/without_S" --seeds "${students[@]}" --config "$sizes/student.yaml" "${taught[@]}" --omit S --jobs "$jobs"
  asrdistill nnet adjust "$omitted/without_S" "$omitted/without_S_bias" --seeds "${students[@]}" --bias "$data/fbank/dev" "$ali/dev" --phones S --jobs "$jobs"
  for system in all without_S without_S_bias; do asrdistill nnet evaluate "$omitted/$system" "$data/fbank" "$ali" "$omitted/frames/$system" --seeds "${students[@]}" --sets test --jobs "$jobs"; done
  asrdistill report "$omitted" --config "$conf/omitted.yaml"
fi

sized=$out/students sizes=(tiny small medium large huge causal_medium causal_large recurrent) widths=(0.25 0.5 1.0) epochs=()
if $quick; then sizes=(small) widths=() epochs=(--epochs 1); fi
if stage 10 "small students: each size with the better teacher and without" ""; then
  for size in "${sizes[@]}" ${widths:+slimmable}; do
    asrdistill nnet train "${train[@]}" "$sized/$size.soft" --seeds "${students[@]}" --config "$conf/students/$size.yaml" --soft-targets "$better" "${epochs[@]}" "${held_out[@]}" --jobs "$jobs"
    asrdistill nnet train "${train[@]}" "$sized/$size.hard" --seeds "${students[@]}" --config "$conf/students/$size.yaml" "${epochs[@]}" "${held_out[@]}" --jobs "$jobs"
  done
  for width in "${widths[@]}"; do
    asrdistill nnet adjust "$sized/slimmable.soft" "$sized/slim_$width.soft" --seeds "${students[@]}" --width "$width"
    asrdistill nnet adjust "$sized/slimmable.hard" "$sized/slim_$width.hard" --seeds "${students[@]}" --width "$width"
  done
fi

if stage 11 "small students: frames and words of all sets" ""; then
  for model in "${sizes[@]/%/.soft}" "${sizes[@]/%/.hard}" "${widths[@]/%/.soft}" "${widths[@]/%/.hard}"; do
    if [[ $model == [0-9]* ]]; then model=slim_$model; fi
    asrdistill nnet evaluate "$sized/$model" "$data/fbank" "$ali" "$sized/frames/$model" --seeds "${students[@]}" --sets "${tests[@]}" --jobs "$jobs"
    asrdistill decode tune "$sized/$model.$seed" "$data/fbank/dev" "$lang" "$lm" "$data/corpus/dev" "$sized/tune/$model.$seed" "${tune[@]}"
    asrdistill decode run "$sized/$model" "$data/fbank" "$lang" "$lm" "$sized/decode/$model" --seeds "${students[@]}" --sets "${tests[@]}" --tuned "$sized/tune/$model.$seed" --graph "$sized/graph" "${decode[@]}"
  done
fi

if stage 12 "tables: small students by size and speed, in 8 bits too; the paper's figures beside these" ""; then
  for size in "${sizes[@]}"; do
    [[ $size != recurrent ]] || continue # it has no 8-bit form
    asrdistill export "$sized/$size.soft.$seed" "$lang" "$lm" "$sized/tune/$size.soft.$seed" "$sized/int8/$size" --to int8 --check "$data/corpus/dev" --alignment "$ali/dev" "${decode[@]}"
  done
  asrdistill report "$sized" --config "$conf/students.yaml" --data "$data" --lang "$lang" --lm "$lm"
  asrdistill report "$out" "$root/recipes" --config "$conf/paper.yaml" --out "$out/reproduction.md"
fi
