# How much transcripts are worth: own_voice on half an hour of the train set with all of them, a quarter, and none. What
# its students then make of the recipe's sets, with the recipe's own words and language model. Sourced by run.sh.
minutes=30 voice=$data/voice
if $small; then minutes=6; fi
if ! $quick; then
  mkdir -p "$voice"
  awk -v seconds=$((60 * minutes)) 'FNR == 1 { file++ }
    file == 1 { length_of[$1] = $2; total += $2 }
    file == 2 { speaker[$1] = $2 }
    file == 3 && (due += length_of[$1] * seconds / total) > used { used += length_of[$1]; print $1, speaker[$1], $2 }' \
    "$data/corpus/train"/{utt2dur,utt2spk,wav.scp} > "$voice/chosen"
  while read -r utterance speaker audio; do
    mkdir -p "$voice/audio/$speaker"
    ln -sf "$(cd "$data/corpus/train" && realpath "$audio")" "$voice/audio/$speaker/$utterance.${audio##*.}"
  done < "$voice/chosen"
  # A recording is named after its folder and file.
  awk 'FNR == NR { speaker[$1] = $2; next } $1 in speaker { name = $1; $1 = speaker[name] "_" name; print }' \
    "$voice/chosen" "$data/corpus/train/text" > "$voice/all"
  awk 'NR % 4 == 1' "$voice/all" > "$voice/quarter"
  for known in none quarter all; do
    given=(--transcripts "$voice/$known")
    if [[ $known == none ]]; then given=(); fi
    if $small; then given+=(--small); fi
    "$root/recipes/own_voice/run.sh" --audio "$voice/audio" "${given[@]}" --ref "$voice/all" --data "$voice/$known.data" \
      --exp "$own/voice/$known" --jobs "$jobs"
    asrdistill tune "$own/voice/$known/student.0" "$cut_heard/dev" "$spoken" "$lm" "$data/corpus/dev" \
      "$own/voice/tune/$known" --config "$conf/tune.yaml" --jobs "$jobs"
    asrdistill decode "$own/voice/$known/student.0" "$cut_heard" "$spoken" "$lm" "$own/voice/decode/$known" \
      --sets dev test test_unseen --tuned "$own/voice/tune/$known" --config "$conf/decode.yaml" --jobs "$jobs"
    cat "$own/voice/decode/$known"/*/hyp.txt | sort > "$own/voice/decode/$known.txt"
  done
  cat "$data/corpus"/{dev,test,test_unseen}/text | sort > "$own/voice/decode/text"
  for known in none quarter all; do
    printf '\nTaught with transcripts: %s\n' "$known"
    asrdistill score "$own/voice/decode/text" "$own/voice/decode/$known.txt" --against "$own/voice/decode/all.txt"
  done
fi
