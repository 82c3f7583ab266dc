#!/usr/bin/env bash
# Phone recognition on TIMIT: from hand-made phone labels (but not their times) to a distilled student.
#
# Times of the stages are those of a sample of 5 minutes on two cores with AVX2. A sample has no development speakers of
# its own, so some train speakers make dev. Everything is then made twice: without them, in EXP/left_out, where dev
# chooses the decoder's scales; and with them, in EXP.
#
#   recipes/timit/run.sh --timit /corpora/TIMIT
#
#   --timit PATH     folder of LDC93S1, or of a sample of it with the same folders
#   --left-out       of a sample, only the models in EXP/left_out
timit="" left_out=false
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
[[ $stage -gt 1 || -n $timit ]] || fail "give the folder of TIMIT with --timit PATH"
data=${data:-$here/data/default} exp=${exp:-$here/exp/default} lang=$data/lang

if stage 1 "corpus: data directories of the standard sets, or of a sample" "0.1 min"; then
  asrdistill data prepare timit "$timit" "$data/corpus" --jobs "$jobs"
fi

# A sample: the models in EXP/left_out come first, and choose the scales on dev.
sizes=$conf/full trains=(train) tests=(dev test test_complete) train=train sets=(dev test test_complete) tuned=$exp/tune
if [[ -d $data/corpus/train_and_dev ]]; then
  sizes=$conf/sample trains=(train train_and_dev) tests=(dev test) tuned=$exp/left_out/tune
  if $left_out; then exp=$exp/left_out sets=(dev); else train=train_and_dev sets=(test); fi
fi
ali=$exp/ali fmllr=$exp/fmllr copies=${train}_copies lm=$data/lm/$train
said=("$data/corpus/$train" "$lang") decode=(--config "$conf/decode.yaml" --jobs "$jobs")

if stage 2 "features: filterbanks, and cepstra made of them" "0.1 min"; then
  asrdistill feats fbank "$data/corpus" "$data/fbank" --sets "${trains[@]}" "${tests[@]}" --config "$conf/fbank.yaml" --jobs "$jobs"
  asrdistill feats cepstra "$data/fbank" "$data/corpus" "$data/cepstra" --sets "${trains[@]}" "${tests[@]}" --config "$conf/cepstra.yaml" --jobs "$jobs"
  for set in "${trains[@]}"; do # the networks see every utterance slower and faster as well
    asrdistill feats fbank "$data/corpus/$set" "$data/fbank/${set}_copies" --config "$conf/fbank.yaml" --speeds 0.9 1.1 --jobs "$jobs"
    asrdistill feats cepstra "$data/fbank/${set}_copies" "$data/corpus/$set" "$data/cepstra/${set}_copies" --config "$conf/cepstra.yaml" --jobs "$jobs"
  done
fi

if stage 3 "language: 48 phones, bigram" "0.1 min"; then
  asrdistill lang build "${trains[@]/#/$data/corpus/}" "${tests[@]/#/$data/corpus/}" "$lang" --phones sil
  for set in "${trains[@]}"; do asrdistill lang lm "$data/corpus/$set" "$lang" "$data/lm/$set" --order 2 --test "${tests[@]/#/$data/corpus/}"; done
fi

if [[ ${#trains[@]} == 2 && $stop_stage -gt 3 ]] && ! $left_out; then
  "$run_script" "${arguments[@]}" --left-out --stage $((stage > 4 ? stage : 4))
fi

if stage 4 "monophones: GMM from a flat start" "0.5 min"; then
  asrdistill gmm mono "$data/cepstra/$train" "${said[@]}" "$exp/mono" --config "$sizes/mono.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/mono" "$data/cepstra/$train" "${said[@]}" "$ali/mono/$train" --jobs "$jobs"
fi

if stage 5 "triphones: decision trees, LDA and MLLT" "1 min"; then
  asrdistill gmm tri "$data/cepstra/$train" "$ali/mono/$train" "${said[@]}" "$exp/tri" --config "$sizes/tri.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/tri" "$data/cepstra/$train" "${said[@]}" "$ali/tri/$train" --jobs "$jobs"
  asrdistill gmm tri "$data/cepstra/$train" "$ali/tri/$train" "${said[@]}" "$exp/lda_mllt" --lda --config "$sizes/lda_mllt.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra/$train" "${said[@]}" "$ali/lda_mllt/$train" --jobs "$jobs"
fi

if stage 6 "speaker adaptation: triphones on fMLLR features" "0.5 min"; then
  asrdistill feats fmllr "$exp/lda_mllt" "$data/cepstra/$train" "$ali/lda_mllt/$train" "$data/corpus/$train" "$fmllr/$train" --jobs "$jobs"
  asrdistill gmm tri "$fmllr/$train" "$ali/lda_mllt/$train" "${said[@]}" "$exp/sat" --config "$sizes/sat.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/sat" "$fmllr/$train" "${said[@]}" "$ali/sat/$train" --jobs "$jobs"
fi

if stage 7 "GMM decoding: scales tuned on dev" "0.3 min"; then
  for model in mono tri lda_mllt; do
    [[ ${sets[0]} != dev ]] || asrdistill decode tune "$exp/$model" "$data/cepstra/dev" "$lang" "$lm" "$data/corpus/dev" "$tuned/$model" "${decode[@]}"
    asrdistill decode run "$exp/$model" "$data/cepstra" "$lang" "$lm" "$exp/decode/$model" --sets "${sets[@]}" --tuned "$tuned/$model" "${decode[@]}"
  done
fi

if stage 8 "adapted decoding: the first pass's phones give the transforms of the speakers" "0.2 min"; then
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra" "$data/corpus" "$lang" "$ali/first_pass" --sets "${sets[@]}" --text "$exp/decode/lda_mllt" --jobs "$jobs"
  asrdistill feats fmllr "$exp/sat" "$data/cepstra" "$ali/first_pass" "$data/corpus" "$fmllr" --sets "${sets[@]}" --jobs "$jobs"
  [[ ${sets[0]} != dev ]] || asrdistill decode tune "$exp/sat" "$fmllr/dev" "$lang" "$lm" "$data/corpus/dev" "$tuned/sat" "${decode[@]}"
  asrdistill decode run "$exp/sat" "$fmllr" "$lang" "$lm" "$exp/decode/sat" --sets "${sets[@]}" --tuned "$tuned/sat" "${decode[@]}"
fi

# The networks see what the adapted GMM sees, of the copies too, and learn the alignment of a first network.
if stage 9 "realignment: by a first network" "2 min"; then
  asrdistill ali expand "$ali/sat/$train" "$data/fbank/$copies" "$ali/sat/$copies"
  asrdistill feats fmllr "$exp/sat" "$data/cepstra/$copies" "$ali/sat/$copies" "$data/corpus/$train" "$fmllr/$copies" --jobs "$jobs"
  asrdistill nnet train "$fmllr/$copies" "$ali/sat/$copies" "$exp/first" --config "$sizes/teacher.yaml"
  asrdistill ali make "$exp/first" "$fmllr" "$data/corpus" "$lang" "$ali/first" --sets "$train" "${sets[@]}" --jobs "$jobs"
  asrdistill ali expand "$ali/first/$train" "$data/fbank/$copies" "$ali/first/$copies"
fi

if stage 10 "teachers: four networks with different seeds; student of their ensemble" "7 min"; then
  held_out=()
  if [[ ${sets[0]} == dev ]]; then held_out=(--held-out "$fmllr/dev" "$ali/first/dev"); fi
  asrdistill nnet train "$fmllr/$copies" "$ali/first/$copies" "$exp/teacher" --seeds "${teachers[@]}" --config "$sizes/teacher.yaml" "${held_out[@]}" --jobs "$jobs"
  # The adapted GMM teaches along: its errors differ from those of the networks.
  asrdistill nnet ensemble "${teachers[@]/#/$exp/teacher.}" "$exp/ensemble" --gmm "$exp/sat" 0.2
  asrdistill distill targets "$exp/ensemble" "$fmllr/$copies" "$exp/targets" --config "$conf/targets.yaml" --jobs "$jobs"
  asrdistill nnet train "$fmllr/$copies" "$ali/first/$copies" "$exp/student" --seeds "${students[@]}" --config "$sizes/student.yaml" --soft-targets "$exp/targets" --jobs "$jobs"
fi

if stage 11 "decoding: by the networks" "1 min"; then
  for model in "teacher.$seed" ensemble "student.$seed"; do
    [[ ${sets[0]} != dev ]] || asrdistill decode tune "$exp/$model" "$fmllr/dev" "$lang" "$lm" "$data/corpus/dev" "$tuned/$model" "${decode[@]}"
  done
  asrdistill decode run "$exp/teacher" "$fmllr" "$lang" "$lm" "$exp/decode/teacher" --seeds "${teachers[@]}" --sets "${sets[@]}" --tuned "$tuned/teacher.$seed" "${decode[@]}"
  asrdistill decode run "$exp/ensemble" "$fmllr" "$lang" "$lm" "$exp/decode/ensemble" --sets "${sets[@]}" --tuned "$tuned/ensemble" "${decode[@]}"
  asrdistill decode run "$exp/student" "$fmllr" "$lang" "$lm" "$exp/decode/student" --seeds "${students[@]}" --sets "${sets[@]}" --tuned "$tuned/student.$seed" "${decode[@]}"
fi

if stage 12 "score: frame accuracy, phone error rate of 39 phones" "0.2 min"; then
  for model in "${teachers[@]/#/teacher.}" ensemble "${students[@]/#/student.}"; do asrdistill nnet evaluate "$exp/$model" "$fmllr" "$ali/first" "$exp/frames/$model" --sets "${sets[@]}" --jobs "$jobs"; done
  asrdistill report "$exp" --config "$sizes/systems_$train.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant "$(basename "$sizes")" --html
fi
