#!/usr/bin/env bash
# Students of Whisper on real books: a senone head on its frozen encoder, alone and with the ensemble of
# recipes/librispeech, teaches networks of at most 1 and 5 million parameters, with further speech that nobody transcribed.
#
# Starts from the folders of recipes/librispeech/run.sh --mini, which must have run. Needs pip install 'asrdistill[whisper]'.
#
#   recipes/librispeech_whisper/run.sh --more untranscribed
#
# options:
#   --more DIR       further speech without transcripts: a folder of recordings, with a subfolder for each speaker
#   --whisper NAME   tiny.en, base or a folder in CTranslate2's form (default tiny.en)
#   --out DIR        folder for data, models and results; --data and --exp are those of recipes/librispeech
set -euo pipefail
more="" whisper=tiny.en out=""
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
books=$root/recipes/librispeech
data=${data:-$books/data/mini} exp=${exp:-$books/exp/mini} out=${out:-$here/exp/${whisper##*/}}
made=$out/data ali=$exp/ali/low lang=$data/lang_all_probs lm=$data/lm train=$data/rung/5 dev=dev-clean-2 sets=(dev-clean-2 test-clean)
graph=(--graph "$exp/graph/low") students_of=(small large) held_out=(--held-out "$data/hires/$dev" "$ali/$dev")
decode=(--config "$books/conf/decode.yaml" --jobs "$jobs")

if stage 1 "speech: further recordings beside the train set, and copies of both with other vocal tract lengths" ""; then
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

if stage 3 "teacher: a head on the encoder, alone and with the recipe's ensemble" ""; then
  asrdistill nnet train "$made/whisper/train" "$ali/train" "$out/head" --seeds "$seed" --config "$conf/head.yaml" --held-out "$made/whisper/$dev" "$ali/$dev"
  asrdistill feats paste "$data/hires" "$made/whisper" "$made/both" --sets "${sets[@]}"
  asrdistill nnet ensemble "$out/head.$seed" "${teachers[@]/#/$exp/teacher.}" "$out/company" --combine geometric
fi

# Names end in _own where a student learns from the train set alone.
taught=(--teacher "$out/head.$seed" --teacher-features "$made/whisper/copies" "${held_out[@]}" --jobs "$jobs")
if stage 4 "students: with the train set alone, and with all speech" ""; then
  for name in "${students_of[@]}"; do
    asrdistill nnet train "$data/hires/train_copies" "$ali/train_copies" "$out/${name}_own" --seeds "${students[@]}" --config "$conf/$name.yaml" "${taught[@]}"
    asrdistill nnet train "$made/hires" "$ali/train_copies" "$out/$name" --seeds "${students[@]}" --config "$conf/$name.yaml" --unlabelled "${taught[@]}"
  done
fi

if stage 5 "decode and evaluate: scales of each system's first seed" ""; then
  declare -A from=([head.$seed]=$made/whisper [company]=$made/both)
  for name in "head.$seed" company "${students_of[@]/%/.$seed}" "${students_of[@]/%/_own.$seed}"; do
    asrdistill nnet evaluate "$out/$name" "${from[$name]:-$data/hires}" "$ali" "$out/frames/$name" --sets "${sets[@]}" --jobs "$jobs"
    asrdistill decode tune "$out/$name" "${from[$name]:-$data/hires}/$dev" "$lang" "$lm" "$data/corpus/$dev" "$out/tune/$name" "${graph[@]}" --config "$books/conf/tune.yaml" --jobs "$jobs"
    asrdistill decode run "$out/$name" "${from[$name]:-$data/hires}" "$lang" "$lm" "$out/decode/$name" --sets "${sets[@]}" --tuned "$out/tune/$name" "${graph[@]}" "${decode[@]}"
  done
fi

if stage 6 "export and score: recogniser folders, table" ""; then
  for name in "${students_of[@]}"; do
    asrdistill export "$out/$name.$seed" "$lang" "$lm" "$out/tune/$name.$seed" "$out/export/$name" --to int8 --check "$data/corpus/$dev" --alignment "$ali/$dev" "${decode[@]}"
  done
  ln -sfn "${teachers[@]/#/$exp/teacher.}" "$out"
  ln -sfn "${teachers[@]/#/$exp/frames/teacher.}" "$out/frames"
  ln -sfn "${teachers[@]/#/$exp/decode/teacher.}" "$out/decode"
  asrdistill report "$out" --config "$conf/systems.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant whisper
fi
