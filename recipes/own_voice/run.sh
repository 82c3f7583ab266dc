#!/usr/bin/env bash
# From a folder of recordings that nobody transcribed to a small recogniser of one's own, taught by Whisper.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: recipes/own_voice/run.sh --audio FOLDER [options]

  --audio FOLDER   recordings of any format that soundfile reads, of any length, in any subfolders
  --text FILES     more text of what is spoken about, for the language model: "FILE FILE …", UTF-8
  --transcripts FILE   what is said in some of the recordings, to learn from: lines of 'recording words'; these are
                   not cut, and Whisper is not believed about them
  --ref FILE       what is really said, to measure by: lines of 'recording words', recordings named after their files;
                   those that are not among them, or were not kept back, do not count
  --language CODE  what is spoken (default en); others than English need a multilingual --whisper
  --lexicon WHAT   cmudict (default for English), graphemes (default for other languages), or a file of
                   'word <tab> phones'; what a dictionary lacks is pronounced by a G2P trained on it
  --whisper MODEL  a folder in CTranslate2's form, or one of faster-whisper's names (default tiny.en)
  --layers N       how many blocks of Whisper's encoder the student begins with (default 2)
  --small          small models, to see that everything works
  --stage N        begin at stage N (default 1)
  --stop-stage N   end after stage N (default 10)
  --seeds N        students to train, each with its own seed (default 1)
  --seed N         seed of the first student, and of the teacher (default 0)
  --jobs N         processes (default: the processors of this machine)
  --data DIR       where the data goes (default recipes/own_voice/data/default)
  --exp DIR        where models and results go (default recipes/own_voice/exp/default)

stages:
HELP
  list_stages
  cat <<'HELP'

A stage that is up to date is skipped; a run that was killed goes on where it was. Needs pip install
'asrdistill[whisper]'. For example
  recipes/own_voice/run.sh --audio ~/dictations --text "letters.txt"
HELP
}

stages=(
  "recordings: cut at their pauses, some kept back|"
  "transcripts: what Whisper hears, and of that what it is sure of|"
  "features: filterbanks, cepstra, and the frames of Whisper's encoder, whole and cut|"
  "language: lexicon, trigram|"
  "flat start: monophone and triphone GMM|"
  "agreement: transcripts that a phone loop does not hear are left out|"
  "senones: LDA and MLLT|"
  "teacher: a head on Whisper's encoder, its soft targets for all audio|"
  "student: the first blocks of the encoder, which hear half a second ahead, with a head of their own|"
  "decode and score: what was kept back, table, export|"
)

flags="small" values="audio text transcripts ref language lexicon whisper layers"
# shellcheck source=recipes/recipe.sh
source "$(dirname "${BASH_SOURCE[0]}")/../recipe.sh" "$@"
language=${language:-en} whisper=${whisper:-tiny.en} cut=whisper:${whisper:-tiny.en}@${layers:-2}+0.5
lexicon=${lexicon:-$([[ $language == en ]] && echo cmudict || echo graphemes)}
read -ra texts <<< "$text"
[[ $first -gt 1 || -n $audio ]] || { echo "run.sh: give the folder of recordings with --audio FOLDER" >&2; exit 2; }
for file in "${texts[@]}" ${ref:+"$ref"} ${transcripts:+"$transcripts"}; do
  [[ -f $file ]] || { echo "run.sh: $file does not exist" >&2; exit 2; }
done
[[ $lexicon == cmudict || $lexicon == graphemes || -f $lexicon ]] || { echo "run.sh: --lexicon must be cmudict, graphemes or a file, not '$lexicon'" >&2; exit 2; }
data=${data:-$here/data/default}
exp=${exp:-$here/exp/default}
"$root/tools/install.sh"
PATH=$root/.venv/bin:$PATH

sets=(train dev test)
mono=(--config "$conf/mono.yaml") tri=(--config "$conf/tri.yaml") lda=(--config "$conf/lda_mllt.yaml")
teacher=(--config "$conf/teacher.yaml") student=(--config "$conf/student.yaml")
if $small; then
  mono+=(--gaussians 300 --iterations 15)
  tri+=(--leaves 150 --gaussians 600 --iterations 10)
  lda+=(--leaves 150 --gaussians 600 --iterations 10)
  teacher+=(--epochs 2 --width 128)
  student+=(--epochs 2 --width 128)
fi

whole=() known=()
if [[ -n $transcripts ]]; then whole=(--whole "$data/transcripts.txt") known=(--known "$data/transcripts.txt"); fi
recordings() {
  if [[ -n $transcripts ]]; then asrdistill words "$transcripts" "$data/transcripts.txt" --table --language "$language"; fi
  asrdistill cut "$audio" "$data/pieces" "${whole[@]}" --jobs "$jobs"
  asrdistill hold-out "$data/pieces" "$data/sets" --percent 10
}
if stage 1; then together recordings; fi

transcripts() {
  for set in "${sets[@]}"; do
    asrdistill hear "$data/sets/$set" "$data/heard/$set" --whisper "$whisper" --language "$language" --jobs "$jobs"
    asrdistill confident "$data/heard/$set" "$data/corpus/$set" "${known[@]}"
  done
}
if stage 2; then together transcripts; fi

features() {
  local band=(--config "$conf/fbank_$(< "$data/pieces/rate").yaml" --jobs "$jobs") set pieces
  for set in "${sets[@]}"; do
    pieces=$data/corpus/$set
    if [[ $set == train ]]; then pieces=$data/sets/train; fi  # all of it: what nobody is sure of has soft targets too
    asrdistill features "$pieces" "$data/fbank/$set" "${band[@]}"
    asrdistill cepstra "$data/fbank/$set" "$pieces" "$data/cepstra/$set" --config "$conf/cepstra.yaml" --jobs "$jobs"
    asrdistill encode "whisper:$whisper" "$data/fbank/$set" "$pieces" "$data/whisper/$set" --jobs "$jobs"
    asrdistill encode "$cut" "$data/fbank/$set" "$pieces" "$data/cut/$set" --jobs "$jobs"
  done
}
if stage 3; then together features; fi

lang=$data/lang lm=$data/lm
language() {
  local more=() pronounced=(--graphemes)
  if [[ ${#texts[@]} -gt 0 ]]; then
    asrdistill words "${texts[@]}" "$data/text" --language "$language"
    more=(--text "$data/text")
  fi
  if [[ $lexicon != graphemes ]]; then
    asrdistill g2p "$lexicon" "$data/g2p"
    pronounced=(--dictionary "$lexicon" --g2p "$data/g2p")
  fi
  asrdistill lang "${sets[@]/#/$data/corpus/}" "$lang" "${pronounced[@]}" "${more[@]}"
  asrdistill lm "$data/corpus/train" "$lang" "$lm" --order 3 --test "$data/corpus/dev" "$data/corpus/test" "${more[@]}"
}
if stage 4; then together language; fi

# Align a set's words by a model: align MODEL FEATURES TEXT OUT
align() { asrdistill align "$1" "$2" "$3" "$lang" "$4" --max-left-out 20 --jobs "$jobs"; }

cepstra=$data/cepstra/train believed=$data/corpus/train agreed=$data/agreed
flat_start() {
  asrdistill train-mono "$cepstra" "$believed" "$lang" "$exp/mono" "${mono[@]}" --jobs "$jobs"
  align "$exp/mono" "$cepstra" "$believed" "$exp/ali/mono"
  asrdistill train-tri "$cepstra" "$exp/ali/mono" "$believed" "$lang" "$exp/tri" "${tri[@]}" --jobs "$jobs"
  align "$exp/tri" "$cepstra" "$believed" "$exp/ali/tri"
}
if stage 5; then together flat_start; fi

agreement() {
  asrdistill phone-loop "$exp/ali/tri" "$data/loop"
  asrdistill decode "$exp/tri" "$cepstra" "$data/loop/lang" "$data/loop/lm" "$exp/loop" --config "$conf/loop.yaml" --jobs "$jobs"
  asrdistill confident "$data/heard/train" "$agreed" --loop "$exp/ali/tri" "$exp/loop/hyp.txt" "${known[@]}"
}
if stage 6; then together agreement; fi

senones() {
  local set
  asrdistill train-lda "$cepstra" "$exp/ali/tri" "$agreed" "$lang" "$exp/lda_mllt" "${lda[@]}" --jobs "$jobs"
  align "$exp/lda_mllt" "$cepstra" "$agreed" "$exp/ali/train"
  for set in dev test; do align "$exp/lda_mllt" "$data/cepstra/$set" "$data/corpus/$set" "$exp/ali/$set"; done
}
if stage 7; then together senones; fi

teaching() {
  asrdistill train "$data/whisper/train" "$exp/ali/train" "$exp/teacher.$seed" "${teacher[@]}" --seed "$seed" \
    --held-out "$data/whisper/dev" "$exp/ali/dev" --threads "$jobs"
  asrdistill soft-targets "$exp/teacher.$seed" "$data/whisper/train" "$exp/targets" --config "$conf/targets.yaml" --jobs "$jobs"
}
if stage 8; then together teaching; fi

students=()
for ((i = seed; i < seed + seeds; i++)); do students+=("$exp/student.$i"); done
learning() {
  local model
  for model in "${students[@]}"; do
    asrdistill train "$data/cut/train" "$exp/ali/train" "$model" "${student[@]}" --seed "${model##*.}" \
      --soft-targets "$exp/targets" --unlabelled --held-out "$data/cut/dev" "$exp/ali/dev" --threads "$jobs"
  done
}
if stage 9; then together learning; fi

measured=("$exp/lda_mllt" "$exp/teacher.$seed" "${students[@]}")
decoding() {
  local model name features set
  for model in "${measured[@]}"; do
    name=$(basename "$model")
    case $name in teacher.*) features=$data/whisper ;; student.*) features=$data/cut ;; *) features=$data/cepstra ;; esac
    asrdistill tune "$model" "$features/dev" "$lang" "$lm" "$data/corpus/dev" "$exp/tune/$name" --config "$conf/tune.yaml" --jobs "$jobs"
    for set in dev test; do
      asrdistill decode "$model" "$features/$set" "$lang" "$lm" "$exp/decode/$name/$set" --tuned "$exp/tune/$name" \
        --config "$conf/decode.yaml" --jobs "$jobs"
      if [[ $name != lda_mllt ]]; then
        asrdistill evaluate "$model" "$features/$set" "$exp/ali/$set" "$exp/frames/$name/$set" --jobs "$jobs"
      fi
    done
  done
  asrdistill export "${students[0]}" "$lang" "$lm" "$exp/tune/$(basename "${students[0]}")" "$exp/student" --encoder "$cut" \
    --check "$data/corpus/dev" --alignment "$exp/ali/dev" --config "$conf/decode.yaml" --jobs "$jobs"
  asrdistill report "$exp" --config "$conf/systems.yaml" --data "$data" --lang "$lang" --lm "$lm" --variant "$language"
}

# What was really said, where somebody knows: for Whisper too.
score_truth() {
  local model
  asrdistill words "$ref" "$data/ref.txt" --table --language "$language"
  printf '\nWords of %s, of the recordings in it that were kept back for test:\n' "$ref"
  for model in Whisper "${measured[@]}"; do
    local heard=$exp/decode/$(basename "$model")/test/hyp.txt
    if [[ $model == Whisper ]]; then heard=$data/corpus/test/text; fi
    printf '%-10s ' "$(basename "$model")"
    asrdistill score "$data/ref.txt" "$heard" --recordings "$data/corpus/test"
  done
}
if stage 10; then
  together decoding
  if [[ -n $ref ]]; then score_truth; fi
fi
