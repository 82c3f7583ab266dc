#!/usr/bin/env bash
# From the voices of a game to a distilled student: Hinton, Vinyals and Dean's speech experiment on real speech.
#
# Trains on 191 minutes of 35 speakers of "Flight of the Amazon Queen" (fetches 35 MB). Takes 3 GB of disk and about an
# hour on two cores with AVX2; with --small about five minutes.
#
#   recipes/amazon_queen/run.sh --small        see that everything works
#   recipes/amazon_queen/run.sh --seeds 3      three students: mean and deviation in the table
#
#   --small          24 minutes of speech and small models
#   --open           lexicon of the train text alone; the table has the out-of-vocabulary rate
#   --queen FILE     your own queen.1c instead of the download
small=false open=false queen=""
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
variant=default sizes=$conf minutes=()
if $small; then variant=small sizes=$conf/small minutes=(--minutes 24); fi
data=${data:-$here/data/$variant} exp=${exp:-$here/exp/$variant}
dictionary=$root/data/cmudict.txt.gz
lang=$data/lang lm=$data/lm
if $open; then lang=$data/lang_open lm=$data/lm_open; fi
align_lang=$data/lang_probs decode_lang=${lang}_probs # with pronunciation probabilities
sat=$exp/ali/sat ali=$exp/ali/low # of the GMM, every 10 ms; of the networks, every 30 ms
tests=(dev test test_unseen)

if stage 1 "corpus: fetch the game, extract its clips, make data directories" "0.1 min (0.1 min)"; then
  [[ -n $queen ]] || python "$here/local/amazon_queen.py" download "$data/download"
  python "$here/local/amazon_queen.py" prepare "${queen:-$data/download/queen.1c}" "$data/corpus" "${minutes[@]}" --jobs "$jobs"
fi

if stage 2 "features: filterbanks and cepstra; grapheme-to-phoneme model beside them" "0.3 min (0.3 min)"; then
  asrdistill lang g2p "$dictionary" "$data/g2p" &
  asrdistill feats fbank "$data/corpus" "$data/fbank" --sets train "${tests[@]}" --config "$conf/fbank.yaml" --jobs "$jobs"
  asrdistill feats cepstra "$data/fbank" "$data/corpus" "$data/cepstra" --sets train "${tests[@]}" --config "$conf/cepstra.yaml" --jobs "$jobs"
  asrdistill feats fbank "$data/corpus/train" "$data/fbank/train_copies" --config "$conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"
  wait_all
fi

if stage 3 "language: pronunciations, trigram" "0.3 min (0.1 min)"; then
  # Alignment needs every word, open vocabulary or not.
  asrdistill lang build "$data"/corpus/{train,dev,test,test_unseen} "$data/lang" --dictionary "$dictionary" --g2p "$data/g2p"
  if $open; then asrdistill lang build "$data/corpus/train" "$lang" --dictionary "$dictionary" --g2p "$data/g2p"; fi
  asrdistill lang lm "$data/corpus/train" "$lang" "$lm" --order 3 --test "$data"/corpus/{dev,test,test_unseen}
fi

if stage 4 "monophones: GMM from a flat start" "0.7 min (0.1 min)"; then
  asrdistill gmm mono "$data/cepstra/train" "$data/corpus/train" "$data/lang" "$exp/mono" --config "$sizes/mono.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/mono" "$data/cepstra/train" "$data/corpus/train" "$data/lang" "$exp/ali/mono/train" --jobs "$jobs"
fi

if stage 5 "triphones: decision trees; pronunciation probabilities" "0.5 min (0.1 min)"; then
  asrdistill gmm tri "$data/cepstra/train" "$exp/ali/mono/train" "$data/corpus/train" "$data/lang" "$exp/tri" --config "$sizes/tri.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/tri" "$data/cepstra/train" "$data/corpus/train" "$data/lang" "$exp/ali/tri/train" --jobs "$jobs"
  asrdistill lang pron-probs "$data/lang" "$exp/ali/tri/train" "$align_lang"
  if $open; then asrdistill lang pron-probs "$lang" "$exp/ali/tri/train" "$decode_lang"; fi
fi

if stage 6 "LDA and MLLT: triphones on spliced, projected cepstra" "0.6 min (0.2 min)"; then
  asrdistill gmm tri "$data/cepstra/train" "$exp/ali/tri/train" "$data/corpus/train" "$align_lang" "$exp/lda_mllt" --lda --config "$sizes/lda_mllt.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra/train" "$data/corpus/train" "$align_lang" "$exp/ali/lda_mllt/train" --jobs "$jobs"
fi

if stage 7 "speaker adaptation: triphones on fMLLR features; the networks' senones" "0.6 min (0.2 min)"; then
  asrdistill feats fmllr "$exp/lda_mllt" "$data/cepstra/train" "$exp/ali/lda_mllt/train" "$data/corpus/train" "$data/fmllr/train" --jobs "$jobs"
  asrdistill gmm tri "$data/fmllr/train" "$exp/ali/lda_mllt/train" "$data/corpus/train" "$align_lang" "$exp/sat" --config "$sizes/sat.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/sat" "$data/fmllr/train" "$data/corpus/train" "$align_lang" "$sat/train" --jobs "$jobs"
  asrdistill ali expand "$sat/train" "$data/fmllr/train" "$ali/train" --config "$sizes/low.yaml" --jobs "$jobs"
  asrdistill ali expand "$ali/train" "$data/fbank/train_copies" "$ali/train_copies"
fi

if stage 8 "reference alignments: known words of dev and tests, for frame accuracy" "0.1 min (0.1 min)"; then
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra" "$data/corpus" "$align_lang" "$exp/ali/lda_mllt" --sets "${tests[@]}" --jobs "$jobs"
  asrdistill feats fmllr "$exp/sat" "$data/cepstra" "$exp/ali/lda_mllt" "$data/corpus" "$data/fmllr_known" --sets "${tests[@]}" --jobs "$jobs"
  asrdistill ali make "$exp/sat" "$data/fmllr_known" "$data/corpus" "$align_lang" "$sat" --sets "${tests[@]}" --jobs "$jobs"
  asrdistill ali expand "$sat" "$data/fmllr_known" "$ali" --sets "${tests[@]}" --tree "$ali/train" --jobs "$jobs"
fi

if stage 9 "teachers: four networks with different seeds, and their ensemble" "30 min (1 min)"; then
  asrdistill nnet train "$data/fbank/train_copies" "$ali/train_copies" "$exp/teacher" --seeds "${teachers[@]}" --config "$sizes/teacher.yaml" --held-out "$data/fbank/dev" "$ali/dev" --jobs "$jobs"
  asrdistill nnet ensemble "${teachers[@]/#/$exp/teacher.}" "$exp/ensemble" --combine geometric
fi

if stage 10 "student: taught by the ensemble on its very batches; all other systems are decoded beside it, at a lower priority" "20 min (1 min)"; then
  asrdistill nnet train "$data/fbank/train_copies" "$ali/train_copies" "$exp/student" --seeds "${students[@]}" --config "$sizes/student.yaml" --teacher "$exp/ensemble" --held-out "$data/fbank/dev" "$ali/dev" --jobs 1 &
  for model in mono tri lda_mllt; do
    nice asrdistill decode tune "$exp/$model" "$data/cepstra/dev" "$decode_lang" "$lm" "$data/corpus/dev" "$exp/tune/$model" --config "$conf/tune.yaml" --jobs "$jobs"
    nice asrdistill decode run "$exp/$model" "$data/cepstra" "$decode_lang" "$lm" "$exp/decode/$model" --sets "${tests[@]}" --tuned "$exp/tune/$model" --config "$conf/decode.yaml" --jobs "$jobs"
  done
  nice asrdistill ali make "$exp/lda_mllt" "$data/cepstra" "$data/corpus" "$decode_lang" "$exp/ali/first_pass" --sets "${tests[@]}" --text "$exp/decode/lda_mllt" --jobs "$jobs"
  nice asrdistill feats fmllr "$exp/sat" "$data/cepstra" "$exp/ali/first_pass" "$data/corpus" "$data/fmllr" --sets "${tests[@]}" --jobs "$jobs"
  nice asrdistill decode run "$exp/sat" "$data/fmllr" "$decode_lang" "$lm" "$exp/decode/sat" --sets "${tests[@]}" --tuned "$exp/tune/lda_mllt" --config "$conf/decode.yaml" --jobs "$jobs"
  for model in "teacher.$seed" ensemble; do nice asrdistill decode tune "$exp/$model" "$data/fbank/dev" "$decode_lang" "$lm" "$data/corpus/dev" "$exp/tune/$model" --config "$conf/tune.yaml" --jobs "$jobs"; done
  nice asrdistill decode run "$exp/teacher" "$data/fbank" "$decode_lang" "$lm" "$exp/decode/teacher" --seeds "${teachers[@]}" --sets "${tests[@]}" --tuned "$exp/tune/teacher.$seed" --config "$conf/decode.yaml" --jobs "$jobs"
  nice asrdistill decode run "$exp/ensemble" "$data/fbank" "$decode_lang" "$lm" "$exp/decode/ensemble" --sets "${tests[@]}" --tuned "$exp/tune/ensemble" --config "$conf/decode.yaml" --jobs "$jobs"
  wait_all
fi

if stage 11 "decode: the student, scales tuned on dev" "0.5 min (0.2 min)"; then
  asrdistill decode tune "$exp/student.$seed" "$data/fbank/dev" "$decode_lang" "$lm" "$data/corpus/dev" "$exp/tune/student.$seed" --config "$conf/tune.yaml" --jobs "$jobs"
  asrdistill decode run "$exp/student" "$data/fbank" "$decode_lang" "$lm" "$exp/decode/student" --seeds "${students[@]}" --sets "${tests[@]}" --tuned "$exp/tune/student.$seed" --config "$conf/decode.yaml" --jobs "$jobs"
fi

if stage 12 "score: frame accuracy, WER, significance, table; export of the student" "1 min (0.1 min)"; then
  for model in "${teachers[@]/#/teacher.}" ensemble "${students[@]/#/student.}"; do asrdistill nnet evaluate "$exp/$model" "$data/fbank" "$ali" "$exp/frames/$model" --sets "${tests[@]}" --jobs "$jobs"; done
  asrdistill export "$exp/student.$seed" "$decode_lang" "$lm" "$exp/tune/student.$seed" "$exp/student" --check "$data/corpus/dev" --alignment "$ali/dev" --config "$conf/decode.yaml" --jobs "$jobs"
  asrdistill report "$exp" --config "$conf/systems.yaml" --data "$data" --lang "$decode_lang" --lm "$lm" --variant "$variant" --html
fi
