#!/usr/bin/env bash
# From a folder of untranscribed recordings to a small recogniser of one's own, taught by Whisper.
#
# Needs pip install 'asrdistill[whisper]'. Half an hour of speech takes 15 minutes on two cores with AVX2.
#
#   recipes/own_voice/run.sh --audio ~/dictations --text letters.txt
#
#   --audio DIR      recordings of any format that soundfile reads, of any length, in any subfolders
#   --text FILES     more text of the domain, for the language model: "FILE FILE …", UTF-8
#   --transcripts FILE   lines of 'recording words' to learn from, in place of Whisper's; these recordings are not cut
#   --ref FILE       reference to measure the test set by: lines of 'recording words', recordings named after their files
#   --language CODE  language (default en); others than English need a multilingual --whisper
#   --lexicon WHAT   cmudict (default for English), graphemes (default for other languages), or a file of
#                    'word <tab> phones'; G2P pronounces the words that it lacks
#   --whisper MODEL  a folder in CTranslate2's form, or one of faster-whisper's names (default tiny.en)
#   --layers N       blocks of Whisper's encoder that the student keeps (default 2)
#   --small          small models, to see that everything works
audio="" text="" transcripts="" ref="" language=en lexicon="" whisper=tiny.en layers=2 small=false
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
[[ -n $lexicon ]] || lexicon=$([[ $language == en ]] && echo cmudict || echo graphemes)
read -ra texts <<< "$text"
[[ $stage -gt 1 || -n $audio ]] || fail "give the folder of recordings with --audio DIR"
require_files "${texts[@]}" ${ref:+"$ref"} ${transcripts:+"$transcripts"}
[[ $lexicon == cmudict || $lexicon == graphemes || -f $lexicon ]] || fail "--lexicon must be cmudict, graphemes or a file, not '$lexicon'"
data=${data:-$here/data/default} exp=${exp:-$here/exp/default} lang=$data/lang lm=$data/lm
cut=whisper:$whisper@$layers+0.5 # half a second of look-ahead
sizes=$conf pronounced=(--dictionary "$lexicon" --g2p "$data/g2p")
if $small; then sizes=$conf/small; fi
if [[ $lexicon == graphemes ]]; then pronounced=(--graphemes); fi

if stage 1 "recordings: cut at their pauses, split into sets, transcribed by Whisper" ""; then
  [[ -z $transcripts ]] || asrdistill data normalize-text "$transcripts" "$data/transcripts.txt" --table --language "$language"
  asrdistill data segment "$audio" "$data/pieces" ${transcripts:+--whole "$data/transcripts.txt"} --jobs "$jobs"
  asrdistill data split "$data/pieces" "$data/sets" --percent 10
  asrdistill pseudo-label run "$data/sets" "$data/pseudo_labels" --sets train dev test --whisper "$whisper" --language "$language" --jobs "$jobs"
  asrdistill pseudo-label filter "$data/pseudo_labels" "$data/corpus" --sets train dev test ${transcripts:+--known "$data/transcripts.txt"}
fi

if stage 2 "features: filterbanks, cepstra, frames of Whisper's encoder, whole and cut" ""; then
  rate=$(cat "$data/pieces/rate" 2>/dev/null || echo 16000)
  for folder in sets/train corpus/dev corpus/test; do # the whole train set: all of it has soft targets
    set=${folder#*/}
    asrdistill feats fbank "$data/$folder" "$data/fbank/$set" --config "$conf/fbank_$rate.yaml" --jobs "$jobs"
    asrdistill feats cepstra "$data/fbank/$set" "$data/$folder" "$data/cepstra/$set" --config "$conf/cepstra.yaml" --jobs "$jobs"
    asrdistill feats encode "whisper:$whisper" "$data/fbank/$set" "$data/$folder" "$data/whisper/$set" --jobs "$jobs"
    asrdistill feats encode "$cut" "$data/fbank/$set" "$data/$folder" "$data/cut/$set" --jobs "$jobs"
  done
fi

if stage 3 "language: lexicon, trigram" ""; then
  [[ -z $text ]] || asrdistill data normalize-text "${texts[@]}" "$data/text" --language "$language"
  [[ $lexicon == graphemes ]] || asrdistill lang g2p "$lexicon" "$data/g2p"
  asrdistill lang build "$data"/corpus/{train,dev,test} "$lang" "${pronounced[@]}" ${text:+--text "$data/text"}
  asrdistill lang lm "$data/corpus/train" "$lang" "$lm" --order 3 --test "$data"/corpus/{dev,test} ${text:+--text "$data/text"}
fi

if stage 4 "flat start: monophone and triphone GMM" ""; then
  asrdistill gmm mono "$data/cepstra/train" "$data/corpus/train" "$lang" "$exp/mono" --config "$sizes/mono.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/mono" "$data/cepstra/train" "$data/corpus/train" "$lang" "$exp/ali/mono" --max-left-out 20 --jobs "$jobs"
  asrdistill gmm tri "$data/cepstra/train" "$exp/ali/mono" "$data/corpus/train" "$lang" "$exp/tri" --config "$sizes/tri.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/tri" "$data/cepstra/train" "$data/corpus/train" "$lang" "$exp/ali/tri" --max-left-out 20 --jobs "$jobs"
fi

if stage 5 "agreement: transcripts that differ from a phone loop are left out" ""; then
  asrdistill lang phone-loop "$exp/ali/tri" "$data/loop"
  asrdistill decode run "$exp/tri" "$data/cepstra/train" "$data/loop/lang" "$data/loop/lm" "$exp/loop" --config "$conf/loop.yaml" --jobs "$jobs"
  asrdistill pseudo-label filter "$data/pseudo_labels/train" "$data/agreed" --loop "$exp/ali/tri" "$exp/loop/hyp.txt" ${transcripts:+--known "$data/transcripts.txt"}
fi

if stage 6 "senones: LDA and MLLT" ""; then
  asrdistill gmm tri "$data/cepstra/train" "$exp/ali/tri" "$data/agreed" "$lang" "$exp/lda_mllt" --lda --config "$sizes/lda_mllt.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra/train" "$data/agreed" "$lang" "$exp/ali/train" --max-left-out 20 --jobs "$jobs"
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra" "$data/corpus" "$lang" "$exp/ali" --sets dev test --max-left-out 20 --jobs "$jobs"
fi

if stage 7 "teacher and student: heads on Whisper's encoder, and on its first blocks with little look-ahead" ""; then
  asrdistill nnet train "$data/whisper/train" "$exp/ali/train" "$exp/teacher" --seeds "$seed" --config "$sizes/teacher.yaml" --held-out "$data/whisper/dev" "$exp/ali/dev" --threads "$jobs"
  asrdistill distill targets "$exp/teacher.$seed" "$data/whisper/train" "$exp/targets" --config "$conf/targets.yaml" --jobs "$jobs"
  asrdistill nnet train "$data/cut/train" "$exp/ali/train" "$exp/student" --seeds "${students[@]}" --config "$sizes/student.yaml" --soft-targets "$exp/targets" --unlabelled --held-out "$data/cut/dev" "$exp/ali/dev" --threads "$jobs" --jobs 1
fi

decode=(--sets dev test --config "$conf/decode.yaml" --jobs "$jobs") tune=(--config "$conf/tune.yaml" --jobs "$jobs")
if stage 8 "decode: scales tuned on dev, words of dev and test" ""; then
  asrdistill decode tune "$exp/lda_mllt" "$data/cepstra/dev" "$lang" "$lm" "$data/corpus/dev" "$exp/tune/lda_mllt" "${tune[@]}"
  asrdistill decode run "$exp/lda_mllt" "$data/cepstra" "$lang" "$lm" "$exp/decode/lda_mllt" --tuned "$exp/tune/lda_mllt" "${decode[@]}"
  asrdistill decode tune "$exp/teacher.$seed" "$data/whisper/dev" "$lang" "$lm" "$data/corpus/dev" "$exp/tune/teacher.$seed" "${tune[@]}"
  asrdistill decode run "$exp/teacher" "$data/whisper" "$lang" "$lm" "$exp/decode/teacher" --seeds "$seed" --tuned "$exp/tune/teacher.$seed" "${decode[@]}"
  asrdistill decode tune "$exp/student.$seed" "$data/cut/dev" "$lang" "$lm" "$data/corpus/dev" "$exp/tune/student.$seed" "${tune[@]}"
  asrdistill decode run "$exp/student" "$data/cut" "$lang" "$lm" "$exp/decode/student" --seeds "${students[@]}" --tuned "$exp/tune/student.$seed" "${decode[@]}"
fi

if stage 9 "score: table, export of the student, real transcripts" ""; then
  asrdistill nnet evaluate "$exp/teacher" "$data/whisper" "$exp/ali" "$exp/frames/teacher" --seeds "$seed" --sets dev test --jobs "$jobs"
  asrdistill nnet evaluate "$exp/student" "$data/cut" "$exp/ali" "$exp/frames/student" --seeds "${students[@]}" --sets dev test --jobs "$jobs"
  asrdistill export "$exp/student.$seed" "$lang" "$lm" "$exp/tune/student.$seed" "$exp/student" --encoder "$cut" --check "$data/corpus/dev" --alignment "$exp/ali/dev" --config "$conf/decode.yaml" --jobs "$jobs"
  asrdistill report "$exp" --config "$conf/systems.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant "$language"
  if [[ -n $ref ]]; then
    asrdistill data normalize-text "$ref" "$data/ref.txt" --table --language "$language"
    for hyp in "$data/corpus/test/text" "$exp"/decode/{lda_mllt,teacher."$seed",student."$seed"}/test/hyp.txt; do
      run echo "$hyp" # the first one is Whisper's
      asrdistill score "$data/ref.txt" "$hyp" --recordings "$data/corpus/test"
    done
  fi
fi
