#!/usr/bin/env bash
# Students of a pretrained encoder: a senone head on Whisper tiny.en's frozen encoder teaches networks on filterbanks and
# a cut encoder, with untranscribed speech of another game. Last, how much transcripts are worth to such students.
#
# Starts from the folders of recipes/amazon_queen/run.sh, which must have run. Needs pip install 'asrdistill[whisper]'.
#
#   recipes/amazon_queen_whisper/run.sh --quick --seeds 1
#
#   --quick          fewer students and updates; stage 8 on 6 minutes with small models
#   --small          on the folders of amazon_queen/run.sh --small; includes --quick
#   --out DIR        folder for data, models and results; --data and --exp are those of recipes/amazon_queen
quick=false small=false out="" seeds=3
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
variant=default sizes="" tdnns=(small causal_medium) epochs=() minutes=30 smaller=()
if $small; then quick=true variant=small; fi
if $quick; then sizes=/quick tdnns=(causal_medium) epochs=(--epochs 1) minutes=6 smaller=(--small); fi
recipe=$root/recipes/amazon_queen networks=$root/recipes/amazon_queen_paper/conf
data=${data:-$recipe/data/$variant} exp=${exp:-$recipe/exp/$variant} out=${out:-$here/exp/$variant}
made=$out/data lang=$data/lang_probs lm=$data/lm ali=$exp/ali/sat tests=(dev test test_unseen)
cut=whisper:tiny.en@2+0.5 # the first two of the encoder's four blocks, half a second of look-ahead
decode=(--config "$recipe/conf/decode.yaml" --jobs "$jobs")

if stage 1 "untranscribed speech: voices of another game beside the train set" ""; then
  python "$recipe/local/steel_sky.py" download "$made/download"
  python "$recipe/local/steel_sky.py" prepare "$made/download" "$made/sky" --jobs "$jobs"
  asrdistill data combine "$data/corpus/train" "$made/sky/unlabelled" "$made/corpus/more"
  asrdistill feats fbank "$made/corpus/more" "$made/fbank/more" --config "$recipe/conf/fbank.yaml" --jobs "$jobs"
  asrdistill feats fbank "$made/corpus/more" "$made/fbank/more_copies" --config "$recipe/conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"
fi

if stage 2 "encoder: frames of Whisper's encoder, whole and cut" ""; then
  asrdistill feats encode whisper:tiny.en "$made/fbank/more" "$made/corpus/more" "$made/whisper/more" --jobs "$jobs"
  asrdistill feats encode whisper:tiny.en "$data/fbank" "$data/corpus" "$made/whisper" --sets "${tests[@]}" --jobs "$jobs"
  asrdistill feats encode "$cut" "$made/fbank/more" "$made/corpus/more" "$made/cut/more" --jobs "$jobs"
  asrdistill feats encode "$cut" "$data/fbank" "$data/corpus" "$made/cut" --sets "${tests[@]}" --jobs "$jobs"
fi

if stage 3 "teacher: a head on the encoder, alone and with time-delay networks" ""; then
  asrdistill ali expand "$ali/train" "$data/fbank/train_copies" "$ali/train_copies"
  asrdistill nnet train "$data/fbank/train_copies" "$ali/train_copies" "$out/teacher" --seeds "${teachers[@]}" --config "$networks$sizes/better_teacher.yaml" --held-out "$data/fbank/dev" "$ali/dev" --jobs "$jobs"
  asrdistill nnet train "$made/whisper/more" "$ali/train" "$out/head" --seeds "${students[@]}" --config "$conf/head.yaml" --held-out "$made/whisper/dev" "$ali/dev" --jobs "$jobs"
  asrdistill feats paste "$data/fbank" "$made/whisper" "$made/both" --sets "${tests[@]}"
  asrdistill nnet ensemble "$out/head.$seed" "${teachers[@]/#/$out/teacher.}" "$out/company.$seed" --weights-on "$made/both/dev" "$ali/dev" --jobs "$jobs"
  asrdistill distill targets "$out/head.$seed" "$made/whisper/more" "$out/targets" --config "$conf/targets.yaml" --jobs "$jobs"
  asrdistill ali expand "$out/targets" "$made/fbank/more_copies" "$out/targets_more"
fi

# cut and tdnns learn from all audio; dnn too, with four fifths of the updates of dnn_hard, which has no teacher.
taught=(--soft-targets "$out/targets_more" --unlabelled) held_out=(--held-out "$data/fbank/dev" "$ali/dev")
if stage 4 "students: the cut encoder, networks on filterbanks" ""; then
  asrdistill nnet train "$made/cut/more" "$ali/train" "$out/cut" --seeds "${students[@]}" --config "$conf/cut.yaml" --soft-targets "$out/targets" --unlabelled --held-out "$made/cut/dev" "$ali/dev" --jobs "$jobs"
  asrdistill nnet train "$made/fbank/more_copies" "$ali/train_copies" "$out/dnn" --seeds "${students[@]}" --config "$networks/student.yaml" --epochs 1 "${taught[@]}" "${held_out[@]}" --jobs "$jobs"
  asrdistill nnet train "$data/fbank/train_copies" "$ali/train_copies" "$out/dnn_hard" --seeds "${students[@]}" --config "$networks/teacher.yaml" "${held_out[@]}" --jobs "$jobs"
  for name in "${tdnns[@]}"; do
    asrdistill nnet train "$made/fbank/more_copies" "$ali/train_copies" "$out/$name" --seeds "${students[@]}" --config "$networks/students/$name.yaml" "${epochs[@]}" "${taught[@]}" "${held_out[@]}" --jobs "$jobs"
  done
fi

if stage 5 "decode and evaluate: scales of each system's first seed" ""; then
  declare -A features=([head]=$made/whisper [cut]=$made/cut [company]=$made/both)
  for name in head cut dnn dnn_hard "${tdnns[@]}" company teacher; do
    from=${features[$name]:-$data/fbank} numbers=("${students[@]}")
    case $name in company) numbers=("$seed") ;; teacher) numbers=("${teachers[@]}") ;; esac
    asrdistill nnet evaluate "$out/$name" "$from" "$ali" "$out/frames/$name" --seeds "${numbers[@]}" --sets "${tests[@]}" --jobs "$jobs"
    asrdistill decode tune "$out/$name.$seed" "$from/dev" "$lang" "$lm" "$data/corpus/dev" "$out/tune/$name.$seed" --config "$recipe/conf/tune.yaml" --jobs "$jobs"
    asrdistill decode run "$out/$name" "$from" "$lang" "$lm" "$out/decode/$name" --seeds "${numbers[@]}" --sets "${tests[@]}" --tuned "$out/tune/$name.$seed" "${decode[@]}"
  done
fi

check=(--check "$data/corpus/dev" --alignment "$ali/dev")
if stage 6 "export: recogniser folders of the students" ""; then
  asrdistill export "$out/cut.$seed" "$lang" "$lm" "$out/tune/cut.$seed" "$out/export/cut" --encoder "$cut" "${check[@]}" "${decode[@]}"
  asrdistill export "$out/dnn.$seed" "$lang" "$lm" "$out/tune/dnn.$seed" "$out/export/dnn" --to int8 "${check[@]}" "${decode[@]}"
  for name in "${tdnns[@]}"; do # so small that the search takes most of the time
    asrdistill export "$out/$name.$seed" "$lang" "$lm" "$out/tune/$name.$seed" "$out/export/$name" --to int8 "${check[@]}" "${decode[@]}" --beam 8 --word-end-beam 5 --max-active 2000
  done
fi

if stage 7 "score: table, words of Whisper itself" ""; then
  asrdistill report "$out" --config "$conf/systems.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant whisper
  asrdistill pseudo-label run "$data/corpus" "$out/pseudo_labels" --sets "${tests[@]}" --jobs "$jobs"
  for set in "${tests[@]}"; do asrdistill score "$data/corpus/$set/text" "$out/pseudo_labels/$set/text"; done
fi

# own_voice on half an hour of the train set; its students decode the recipe's sets with the recipe's words.
voice=$out/voice
if stage 8 "transcripts: half an hour with all of them, a quarter, none" ""; then
  python "$here/local/choose.py" "$data/corpus/train" "$made/voice" --minutes "$minutes"
  for known in none quarter all; do
    given=(--transcripts "$made/voice/$known")
    if [[ $known == none ]]; then given=(); fi
    run "$root/recipes/own_voice/run.sh" --audio "$made/voice/audio" "${given[@]}" "${smaller[@]}" --ref "$made/voice/all" --data "$made/$known" --exp "$voice/$known" --jobs "$jobs"
    asrdistill decode tune "$voice/$known/student.0" "$made/cut/dev" "$lang" "$lm" "$data/corpus/dev" "$voice/tune/$known/student.0" --config "$recipe/conf/tune.yaml" --jobs "$jobs"
    asrdistill decode run "$voice/$known/student.0" "$made/cut" "$lang" "$lm" "$voice/decode/$known/student.0" --sets "${tests[@]}" --tuned "$voice/tune/$known/student.0" "${decode[@]}"
  done
  asrdistill report "$voice" --config "$conf/voice.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant voice
fi
