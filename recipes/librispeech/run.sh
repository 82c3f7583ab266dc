#!/usr/bin/env bash
# LibriSpeech: from OpenSLR's archives to a distilled student that transcribes, with Kaldi's ladder of models below it.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: recipes/librispeech/run.sh [options]

  --mini           mini_librispeech: 5 hours to train on (train-clean-5, dev-clean-2), for a laptop
  --hours N        else train on 100, 460 or 960 hours (default 100)
  --stage N        begin at stage N (default 1)
  --stop-stage N   end after stage N (default 15)
  --paper          networks of the paper's size (8 x 2560) over 8,000 senones or more, in folders of their own; trained by
                   torchrun on all GPUs of this machine, one after the other; without a GPU this takes weeks
  --teachers N     networks in the ensemble (default 4)
  --seeds N        students to train, each with its own seed (default 1)
  --seed N         seed of the first student, and the first of the teachers' (default 0)
  --jobs N         processes (default: the processors of this machine)
  --corpus DIR     a copy that you have: LibriSpeech in it, the lexicon and the language models beside that
  --mirror URL     fetch from there (default: OpenSLR)
  --table TSV      sizes and checksums of that mirror's files (default: those of OpenSLR's)
  --conf DIR       sizes of models and sets (default recipes/librispeech/conf/full, or conf/mini with --mini), and
                   decode.yaml and tune.yaml where the beams are to be others
  --data DIR       where the corpus goes (default recipes/librispeech/data)
  --exp DIR        where models and results go (default recipes/librispeech/exp)

stages with their minutes on two cores with AVX2 and MB of disk for each hour of speech to train on, and GB of memory of
the largest process, at the sizes of --mini (its 5 hours). They are extrapolated from recipes/amazon_queen, which has other
speech at half the rate; features were measured on FLAC at 16 kHz. The networks of --hours take 4 times as long an hour,
for which one wants a GPU; its soft targets take 90 MB an hour.
HELP
  list_stages
  cat <<'HELP'
(*) while the model is compiled, once; then 29 MB a million, which all processes share. (**) and hour recognised; vocabularies
of 4,000 words were measured, not 200,000.

A stage that is up to date is skipped; a run that was killed goes on where it was. For example
  recipes/librispeech/run.sh --mini                              a few hours on two cores
  recipes/librispeech/run.sh --corpus /corpora --hours 960       LibriSpeech stands in /corpora/LibriSpeech
HELP
}

stages=(
  "download: the parts, the lexicon, two language models|network, 130 MB, 0.1 GB"
  "corpus: data directories, their subsets and unions|0.01 min, 0.5 MB, 0.2 GB"
  "features: filterbanks for the networks, cepstra for the GMMs|0.1 min, 250 MB, 0.4 GB"
  "language: pronunciations, G2P, the language models|2 min in all, 0.5 GB"
  "flat start: monophones on the shortest utterances|0.6 min of its own, 0.2 GB"
  "triphones: decision trees, LDA and MLLT, adaptation to speakers|3 min, 60 MB, 0.3 GB"
  "more speech: adapted triphones on all hours, realignment|2 min, 125 MB, 0.3 GB"
  "teachers: networks that differ in their seed|14 min, 2 MB, 1.6 GB"
  "soft targets of their ensemble|1.5 min, 820 MB, 0.6 GB"
  "student|4 min, 1 MB, 1.6 GB"
  "decode: scales tuned on dev, then all sets, with the 3-gram|1 min a model (**), 0.8 GB"
  "rescore: the lattices with the larger LM|113 MB a million n-grams (*)"
  "open vocabulary: words spelled in pieces, beside whole words alone|3 min a student (**), 0.8 GB"
  "score: frame accuracy, WER, significance, table|0.2 min, 0.7 GB"
  "export: the student in one folder, and what it hears|1 min in all, 0.8 GB"
)

flags="mini paper" values="hours teachers corpus mirror table conf"
# shellcheck source=recipes/recipe.sh
source "$(dirname "${BASH_SOURCE[0]}")/../recipe.sh" "$@"
hours=${hours:-100} teachers=${teachers:-4}
[[ $teachers =~ ^[1-9][0-9]*$ ]] || { echo "run.sh: --teachers must be a whole number above 0, not '$teachers'" >&2; exit 2; }
# `rungs` are the amounts of speech on which adapted triphones are trained in turn, `parts` what each adds to the one
# before; `first_set` is the set that decides (held out from training, scales), where mono and tri are looked at.
case $hours in
  100) rungs=(100) parts=(train-clean-100) ;;
  460) rungs=(100 460) parts=(train-clean-100 train-clean-360) ;;
  960) rungs=(100 460 960) parts=(train-clean-100 train-clean-360 train-other-500) ;;
  *) echo "run.sh: --hours must be 100, 460 or 960, not '$hours'" >&2; exit 2 ;;
esac
variant=$hours size=full sets=(dev-clean dev-other test-clean test-other)
small=(lm-3-small 3-gram.pruned.3e-7.arpa.gz) large=(lm-4 4-gram.arpa.gz) title="LibriSpeech, $hours hours; rescored: 4-gram"
if $mini; then
  variant=mini size=mini rungs=(5) parts=(train-clean-5) sets=(dev-clean-2)
  large=(lm-3-medium 3-gram.pruned.1e-7.arpa.gz) title="mini_librispeech; rescored: medium 3-gram"
fi
if $paper; then
  if $mini; then echo "run.sh: --paper is for --hours, not for the 5 hours of --mini" >&2; exit 2; fi
  variant+=_paper title+=", the paper's networks"
fi
sizes=${conf:-$here/conf/$size} conf=$here/conf first_set=${sets[0]}
beams=$([[ -f $sizes/decode.yaml ]] && echo "$sizes" || echo "$conf")
fetched=$corpus
corpus=${corpus:-${data:-$here/data}/download}
data=${data:-$here/data/$variant}
exp=${exp:-$here/exp/$variant}
"$root/tools/install.sh"
PATH=$root/.venv/bin:$PATH

# How networks are trained: so many at a time, by what. The paper's take all GPUs; its number of senones is the tree's.
teacher=$sizes/teacher.yaml student=$sizes/student.yaml last_tree=() at_once=$jobs trainer=(asrdistill)
if $paper; then
  teacher=$conf/paper.yaml student=$conf/paper.yaml last_tree=(--leaves 8000 --gaussians 160000) at_once=1
  gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)
  if [[ $gpus -gt 0 ]]; then trainer=(torchrun --standalone --nproc-per-node "$gpus" -m asrdistill); fi
fi

# What comes over the network stands packed and unpacked for a while: 63 MB an hour of speech, twice.
if stage 1; then
  if [[ -n $fetched ]]; then
    echo "LibriSpeech stands in $fetched"
  else
    from=()
    if [[ -n $mirror ]]; then from+=(--mirror "$mirror"); fi
    if [[ -n $table ]]; then from+=(--table "$table"); fi
    asrdistill download librispeech "$corpus" --parts "${parts[@]}" "${sets[@]}" lexicon "${small[0]}" "${large[0]}" "${from[@]}"
  fi
fi

rung() { echo "$data/rung/$1"; }  # the data directory of so many hours
train=$(rung "${rungs[-1]}")
prepare() {
  asrdistill prepare librispeech "$corpus" "$data/corpus" --parts "${parts[@]}" "${sets[@]}" lexicon --jobs "$jobs"
  folders=("${parts[@]/#/$data/corpus/}")
  for i in "${!rungs[@]}"; do
    asrdistill combine "${folders[@]:0:i+1}" "$(rung "${rungs[i]}")"
  done
  for model in mono tri lda_mllt; do  # what each is trained on, of the first rung
    asrdistill subset "$(rung "${rungs[0]}")" "$data/subset/$model" --config "$sizes/${model}_set.yaml"
  done
}
if stage 2; then together prepare; fi

data_of() {  # the data directory of a set
  if [[ $1 == train ]]; then echo "$train"; else echo "$data/corpus/$1"; fi
}

# Of the 5 hours of --mini the networks hear stretched copies as well, as if of other speakers.
heard=$data/fbank/train learnt=$exp/ali/sat/train
if $mini; then heard+=_copies learnt+=_copies; fi
extract() {
  for set in train "${sets[@]}"; do
    asrdistill features "$(data_of "$set")" "$data/fbank/$set" --config "$conf/fbank.yaml" --jobs "$jobs"
    asrdistill cepstra "$data/fbank/$set" "$(data_of "$set")" "$data/cepstra/$set" --config "$conf/cepstra.yaml" --jobs "$jobs"
  done
  if $mini; then asrdistill features "$train" "$heard" --config "$conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"; fi
}
if stage 3; then together extract; fi

# Two lexica: to align with, the words that are said, those that LibriSpeech's lacks pronounced by a G2P model; to
# decode with, LibriSpeech's 200,000 words and no others, so that nothing is known about the words of the sets.
lang=$data/lang lm=$data/lm
describe_language() {
  asrdistill g2p "$data/corpus/lexicon.txt" "$data/g2p"
  texts=("$train" "${sets[@]/#/$data/corpus/}")
  asrdistill lang "${texts[@]}" "$lang" --dictionary "$data/corpus/lexicon.txt" --g2p "$data/g2p"
  asrdistill lang "${lang}_all" --dictionary "$data/corpus/lexicon.txt" --all
  asrdistill import-lm "$corpus/${small[1]}" "$lm" --lower
  asrdistill import-lm "$corpus/${large[1]}" "${lm}_large" --lower
}
if stage 4; then together describe_language; fi

align() { asrdistill align "$@" --jobs "$jobs"; }
adapt() { asrdistill fmllr "$@" --jobs "$jobs"; }
cepstra=$data/cepstra/train few=$data/subset/tri more=$data/subset/lda_mllt

# Kaldi's monophones of --mini's speech: WER 48.8 on dev-clean.
start_flat() {
  asrdistill train-mono "$cepstra" "$data/subset/mono" "$lang" "$exp/mono" --config "$sizes/mono.yaml" --jobs "$jobs"
  align "$exp/mono" "$cepstra" "$few" "$lang" "$exp/ali/mono"
}
if stage 5; then together start_flat; fi

# Kaldi's of --mini's speech on dev-clean: triphones 26.2, LDA and MLLT 23.3, adapted 16.8 (dev-clean-2: 18.1).
grow_triphones() {
  asrdistill train-tri "$cepstra" "$exp/ali/mono" "$few" "$lang" "$exp/tri" --config "$sizes/tri.yaml" --jobs "$jobs"
  align "$exp/tri" "$cepstra" "$more" "$lang" "$exp/ali/tri"
  asrdistill train-lda "$cepstra" "$exp/ali/tri" "$more" "$lang" "$exp/lda_mllt" --config "$sizes/lda_mllt.yaml" --jobs "$jobs"
  align "$exp/lda_mllt" "$cepstra" "$more" "$lang" "$exp/ali/lda_mllt/subset"
  adapt "$exp/lda_mllt" "$cepstra" "$exp/ali/lda_mllt/subset" "$more" "$data/fmllr/subset"
  asrdistill train-tri "$data/fmllr/subset" "$exp/ali/lda_mllt/subset" "$more" "$lang" "$exp/sat.subset" --config "$sizes/sat.yaml" --jobs "$jobs"
}
if stage 6; then together grow_triphones; fi

# Adapted triphones on ever more hours: those of the rung before say what the speakers' transforms and the alignment
# are. Kaldi's on test-clean with the 3-gram (and the 4-gram): 100 hours 12.6 (9.1), 460 11.2 (8.1), 960 11.0 (7.8).
# The last ones align what the networks learn, and what they are measured by: the known words of the other sets.
counted=${lang}_counts spoken=${lang}_spoken
train_on_more() {
  before=$exp/sat.subset
  for amount in "${rungs[@]}"; do
    said=$(rung "$amount") sat=$exp/sat.$amount tree=()
    if [[ $said == "$train" ]]; then sat=$exp/sat tree=("${last_tree[@]}"); fi
    align "$exp/lda_mllt" "$cepstra" "$said" "$lang" "$exp/ali/lda_mllt/$amount"
    adapt "$before" "$cepstra" "$exp/ali/lda_mllt/$amount" "$said" "$data/fmllr/$amount"
    align "$before" "$data/fmllr/$amount" "$said" "$lang" "$exp/ali/before/$amount"
    asrdistill train-tri "$data/fmllr/$amount" "$exp/ali/before/$amount" "$said" "$lang" "$sat" --config "$sizes/sat_$amount.yaml" "${tree[@]}" --jobs "$jobs"
    before=$sat
  done
  adapt "$exp/sat" "$cepstra" "$exp/ali/lda_mllt/${rungs[-1]}" "$train" "$data/fmllr/train"
  align "$exp/sat" "$data/fmllr/train" "$train" "$lang" "$exp/ali/sat/train"
  if $mini; then asrdistill copies "$exp/ali/sat/train" "$heard" "$learnt"; fi
  # From here on words are as probable in their pronunciations, and silence between them, as these triphones heard them.
  asrdistill lang-counts "$lang" "$exp/ali/sat/train" "$counted"
  asrdistill lang-counts "${lang}_all" "$exp/ali/sat/train" "$spoken"
  for set in "${sets[@]}"; do
    align "$exp/lda_mllt" "$data/cepstra/$set" "$data/corpus/$set" "$counted" "$exp/ali/lda_mllt/$set"
    adapt "$exp/sat" "$data/cepstra/$set" "$exp/ali/lda_mllt/$set" "$data/corpus/$set" "$data/fmllr_known/$set"
    align "$exp/sat" "$data/fmllr_known/$set" "$data/corpus/$set" "$counted" "$exp/ali/sat/$set"
  done
}
if stage 7; then together train_on_more; fi

# Kaldi's p-norm networks (on adapted features) on test-clean with the 3-gram (and the 4-gram): 100 hours 9.7 (6.6), 460
# 8.7 (5.8), 960 8.0 (5.5). Its TDNN-LSTM of --mini's speech: 16.0 on dev-clean-2, frame accuracy 72 % over 2041 states.
if stage 8; then
  seq "$seed" $((seed + teachers - 1)) | xargs -P "$at_once" -I {} \
    "${trainer[@]}" train "$heard" "$learnt" "$exp/teacher.{}" --config "$teacher" --seed {} \
    --held-out "$data/fbank/$first_set" "$exp/ali/sat/$first_set"
fi

members=()
for ((i = seed; i < seed + teachers; i++)); do members+=("$exp/teacher.$i"); done
soften() {
  asrdistill ensemble "${members[@]}" "$exp/ensemble"
  asrdistill soft-targets "$exp/ensemble" "$heard" "$exp/targets" --config "$sizes/targets.yaml" --jobs "$jobs"
}
if stage 9; then together soften; fi

students=()
for ((i = seed; i < seed + seeds; i++)); do students+=("$exp/student.$i"); done
if stage 10; then
  for one in "${students[@]}"; do
    "${trainer[@]}" train "$heard" "$learnt" "$one" --config "$student" --seed "${one##*.}" \
      --soft-targets "$exp/targets" --held-out "$data/fbank/$first_set" "$exp/ali/sat/$first_set"
  done
fi

graph_of() {  # where the search graph of a model's senones is kept: the networks' are those of sat
  case $(basename "$1") in
    mono | tri | lda_mllt) echo "$exp/graph/$(basename "$1")" ;;
    *) echo "$exp/graph/sat" ;;
  esac
}

scales() {  # scales MODEL: chosen on the first set
  asrdistill tune "$1" "$(features_of "$1")/$first_set" "$spoken" "$lm" "$data/corpus/$first_set" "$exp/tune/$(tuned_by "$1")" \
    --graph "$(graph_of "$1")" --config "$beams/tune.yaml" --jobs "$jobs"
}

recognise() {  # recognise MODEL SET [options]
  asrdistill decode "$1" "$(features_of "$1")/$2" "$spoken" "$lm" "$exp/decode/$(basename "$1")/$2" --tuned "$exp/tune/$(tuned_by "$1")" \
    --graph "$(graph_of "$1")" --config "$beams/decode.yaml" --jobs "$jobs" "${@:3}"
}

decode_all() {
  for model in "$exp/mono" "$exp/tri" "$exp/lda_mllt" "${members[0]}" "$exp/ensemble" "${students[0]}"; do
    scales "$model"
  done
  for model in "$exp/mono" "$exp/tri"; do recognise "$model" "$first_set"; done
  for set in "${sets[@]}"; do
    recognise "$exp/lda_mllt" "$set"
    # Speaker adaptation in two passes: what LDA and MLLT recognised says what the speakers' transforms are.
    align "$exp/lda_mllt" "$data/cepstra/$set" "$data/corpus/$set" "$spoken" "$exp/ali/heard/$set" --text "$exp/decode/lda_mllt/$set/hyp.txt"
    adapt "$exp/sat" "$data/cepstra/$set" "$exp/ali/heard/$set" "$data/corpus/$set" "$data/fmllr/$set"
    for model in "$exp/sat" "${members[@]}" "$exp/ensemble" "${students[@]}"; do
      recognise "$model" "$set" --lattice-beam 6
    done
  done
}
if stage 11; then together decode_all; fi

rescore_all() {
  for model in "$exp/sat" "${members[@]}" "$exp/ensemble" "${students[@]}"; do
    for set in "${sets[@]}"; do
      name=$(basename "$model")/$set
      asrdistill rescore "$exp/decode/$name" "$exp/rescore/$name" --lm "${lm}_large" --graph "$exp/graph/lm_large" --jobs "$jobs"
    done
  done
}
if stage 12; then together rescore_all; fi

# Two vocabularies of the words that the train text has and no others, with language models of that text: of whole words
# alone, and open, with pieces that spell further ones. Scores are said of the errors on words that the text lacks too.
read=$data/read
open_vocabulary() {
  dictionary=(--dictionary "$data/corpus/lexicon.txt")
  asrdistill lang "$train" "$read/lang" "${dictionary[@]}" --g2p "$data/g2p"
  asrdistill lang-counts "$read/lang" "$exp/ali/sat/train" "$read/words"
  asrdistill subwords "$train" "$read/words" "$read/subwords" "${dictionary[@]}" --config "$sizes/subwords.yaml"
  asrdistill lm "$train" "$read/words" "$read/lm_words" --order 3
  asrdistill lm "$train" "$read/subwords" "$read/lm_subwords" --order 4 "${dictionary[@]}"
  for units in words subwords; do
    models=("$read/$units" "$read/lm_$units") graph=(--graph "$exp/graph/$units" --jobs "$jobs")
    asrdistill tune "${students[0]}" "$data/fbank/$first_set" "${models[@]}" "$data/corpus/$first_set" "$exp/tune/$units" \
      --config "$beams/tune.yaml" "${graph[@]}"
    for one in "${students[@]}"; do
      for set in "${sets[@]}"; do
        asrdistill decode "$one" "$data/fbank/$set" "${models[@]}" "$exp/$units/$(basename "$one")/$set" --tuned "$exp/tune/$units" \
          --config "$beams/decode.yaml" "${graph[@]}"
      done
    done
  done
  for set in "${sets[@]}"; do
    heard_in() { echo "$exp/$1/$(basename "${students[0]}")/$set/hyp.txt"; }
    asrdistill score "$data/corpus/$set/text" "$(heard_in subwords)" --against "$(heard_in words)" --vocabulary "$read/words/words.txt"
  done
}
if stage 13; then together open_vocabulary; fi

score_all() {
  for model in "${members[@]}" "$exp/ensemble" "${students[@]}"; do
    for set in "${sets[@]}"; do
      asrdistill evaluate "$model" "$data/fbank/$set" "$exp/ali/sat/$set" "$exp/frames/$(basename "$model")/$set" --jobs "$jobs"
    done
  done
  printf 'corpus: "%s"\nsets: [%s]\n' "$title" "$(IFS=,; echo "${sets[*]}")" | cat - "$conf/systems.yaml" > "$exp/systems.yaml"
  asrdistill report "$exp" --config "$exp/systems.yaml" --data "$data" --lang "$spoken" --lm "$lm" --variant "$variant"
}
if stage 14; then together score_all; fi

if stage 15; then
  asrdistill export "${students[0]}" "$spoken" "$lm" "$exp/tune/$(basename "${students[0]}")" "$exp/student" \
    --config "$beams/decode.yaml"
  read -r _ speech < "$data/corpus/${sets[-1]}/wav.scp"
  echo "The student hears in $speech:"
  asrdistill transcribe "$exp/student" "$speech"
fi
