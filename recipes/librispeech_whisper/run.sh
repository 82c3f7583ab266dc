#!/usr/bin/env bash
# A student of Whisper on real books: a senone head on its frozen encoder teaches a network of 1.06 million parameters,
# with further speech that nobody transcribed. Ends with the recogniser that comes with asrdistill.
#
# Starts from the folders of recipes/librispeech/run.sh --mini, after its stage 10. Needs pip install 'asrdistill[whisper]'.
#
#   recipes/librispeech_whisper/run.sh --more untranscribed --lm-text novels.txt.xz
#
#   --more DIR       further speech without transcripts: a folder of recordings, with a subfolder for each speaker
#   --whisper NAME   tiny.en, or a folder in CTranslate2's form (default tiny.en)
#   --lm-text FILE…  text for the recogniser's words and language model, instead of the transcripts: plain, .gz or .xz
#   --out DIR        folder for data, models and results; --data and --exp are those of recipes/librispeech
more="" whisper=tiny.en lm_text=() out=""
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
books=$root/recipes/librispeech
data=${data:-$books/data/mini} exp=${exp:-$books/exp/mini} out=${out:-$here/exp/${whisper##*/}}
require_files "${lm_text[@]}"
made=$out/data ali=$exp/ali/low train=$data/rung/5 dev=dev-clean-2 sets=(dev-clean-2 test-clean)
held_out=(--held-out "$data/hires/$dev" "$ali/$dev") decode=(--config "$books/conf/decode.yaml" --jobs "$jobs")
tune=(--config "$books/conf/tune.yaml" --jobs "$jobs") said=("$train") text=()
if ((${#lm_text[@]})); then said=() text=(--text "${lm_text[@]}"); fi

if stage 1 "speech: further recordings beside the train set, with other vocal tract lengths too" ""; then
  [[ -z $more ]] || asrdistill data segment "$more" "$made/pieces" --jobs "$jobs"
  asrdistill data combine "$train" ${more:+"$made/pieces"} "$made/corpus"
  asrdistill feats fbank "$made/corpus" "$made/fbank" --config "$books/conf/fbank.yaml" --jobs "$jobs"
  asrdistill feats fbank "$made/corpus" "$made/fbank_copies" --config "$books/conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"
  asrdistill feats cepstra "$made/fbank_copies" "$made/corpus" "$made/hires" --config "$books/conf/hires.yaml" --jobs "$jobs"
fi

if stage 2 "encoder: frames of Whisper's encoder" ""; then
  asrdistill feats encode "whisper:$whisper" "$made/fbank" "$made/corpus" "$made/whisper/train" --jobs "$jobs"
  asrdistill feats encode "whisper:$whisper" "$data/fbank" "$data/corpus" "$made/whisper" --sets "${sets[@]}" --jobs "$jobs"
  asrdistill ali expand "$made/whisper/train" "$made/fbank_copies" "$made/whisper/copies"
fi

if stage 3 "teacher and student: a head on the encoder, a network taught by it on all speech" ""; then
  asrdistill nnet train "$made/whisper/train" "$ali/train" "$out/head" --seeds "$seed" --config "$conf/head.yaml" --held-out "$made/whisper/$dev" "$ali/$dev"
  asrdistill nnet train "$made/hires" "$ali/train_copies" "$out/student" --seeds "${students[@]}" --config "$conf/student.yaml" --teacher "$out/head.$seed" --teacher-features "$made/whisper/copies" --unlabelled "${held_out[@]}" --jobs "$jobs"
fi

lang=$data/lang_all_probs lm=$data/lm
if stage 4 "decode, evaluate and score: with the words and the language model of recipes/librispeech" ""; then
  for name in head student; do
    if [[ $name == head ]]; then from=$made/whisper numbers=("$seed"); else from=$data/hires numbers=("${students[@]}"); fi
    asrdistill nnet evaluate "$out/$name" "$from" "$ali" "$out/frames/$name" --seeds "${numbers[@]}" --sets "${sets[@]}" --jobs "$jobs"
    asrdistill decode tune "$out/$name.$seed" "$from/$dev" "$lang" "$lm" "$data/corpus/$dev" "$out/tune/$name" --graph "$exp/graph/low" "${tune[@]}"
    asrdistill decode run "$out/$name" "$from" "$lang" "$lm" "$out/decode/$name" --seeds "${numbers[@]}" --sets "${sets[@]}" --tuned "$out/tune/$name" --graph "$exp/graph/low" "${decode[@]}"
  done
  asrdistill report "$out" --config "$conf/systems.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant whisper
fi

# The 30,000 words that the text has most often; a language model of a size to carry around.
if stage 5 "recogniser: fewer words, a smaller language model, 8-bit weights" ""; then
  asrdistill lang build "${said[@]}" "$out/lang" --dictionary "$data/corpus/lexicon.txt" "${text[@]}" --most 30000
  asrdistill lang pron-probs "$out/lang" "$exp/ali/sat/train" "$out/lang_probs"
  asrdistill lang lm "${said[@]}" "$out/lang" "$out/lm" "${text[@]}" --config "$conf/lm.yaml" --test "$data/corpus/$dev"
  asrdistill lang g2p "$data/corpus/lexicon.txt" "$out/g2p" --order 3
  asrdistill decode tune "$out/student.$seed" "$data/hires/$dev" "$out/lang_probs" "$out/lm" "$data/corpus/$dev" "$out/tune/recogniser" "${tune[@]}"
  asrdistill export "$out/student.$seed" "$out/lang_probs" "$out/lm" "$out/tune/recogniser" "$out/recogniser" --to int8 --g2p "$out/g2p" --check "$data/corpus/$dev" --alignment "$ali/$dev" "${decode[@]}"
fi
