#!/usr/bin/env bash
# LibriSpeech: from OpenSLR's archives to a distilled student that transcribes, with Kaldi's ladder of models below it.
#
#   recipes/librispeech/run.sh --mini                              a few hours on two cores
#   recipes/librispeech/run.sh --corpus /corpora --hours 960       LibriSpeech stands in /corpora/LibriSpeech
#
#   --mini           mini_librispeech: 5 hours to train on (train-clean-5), tuned on dev-clean-2, for a laptop
#   --hours N        train on 100, 460 or 960 hours (default 100)
#   --paper          networks of the paper's size (8 x 2560) over 8,000 senones or more, in folders of their own, trained by
#                    torchrun on all GPUs of this machine, one after the other; without a GPU this takes weeks
#   --teachers N     networks in the ensemble (default 4)
#   --corpus DIR     your own copy: LibriSpeech in it, the lexicon and the language models beside that
#   --lm-text FILE…  train the language models that DIR lacks on this text: a sentence a line; plain, .gz or .xz
#   --sets "A B"     sets to decode; the first is held out from training and chooses the scales
#   --mirror URL     server to fetch from (default: OpenSLR)
#   --table TSV      sizes and checksums of the mirror's files (default: those of OpenSLR)
#   --conf DIR       sizes of models and sets (default conf/full or conf/mini); decode.yaml and tune.yaml for other beams
mini=false hours=100 paper=false corpus="" lm_text=() mirror="" table="" sets=""
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
# `rungs`: hours on which adapted triphones are trained in turn; `parts`: what each adds. Mono and tri decode one set.
case $hours in
  100) rungs=(100) parts=(train-clean-100) ;;
  460) rungs=(100 460) parts=(train-clean-{100,360}) ;;
  960) rungs=(100 460 960) parts=(train-clean-{100,360} train-other-500) ;;
  *) fail "--hours must be 100, 460 or 960, not '$hours'" ;;
esac
variant=$hours size=full rate=low mean=geometric usual="dev-clean dev-other test-clean test-other" large=(lm-4 4-gram.arpa.gz)
if $mini; then variant=mini size=mini rungs=(5) parts=(train-clean-5) usual="dev-clean-2 test-clean" large=(lm-3-medium 3-gram.pruned.1e-7.arpa.gz); fi
read -ra sets <<<"${sets:-$usual}"
if ((${#lm_text[@]})); then models=(); else models=(lm-3-small "${large[0]}"); fi
require_files "${lm_text[@]}"
sizes=$conf beams=$conf conf=$here/conf dev=${sets[0]}
if [[ $sizes == "$conf" ]]; then sizes=$conf/$size; fi
if [[ ! -f $beams/decode.yaml ]]; then beams=$conf; fi
teacher=$sizes/teacher.yaml student=$sizes/student.yaml last_tree=() trainer=(asrdistill) at_once=$jobs
if $paper; then
  ! $mini || fail "--paper is for --hours, not for the 5 hours of --mini"
  variant+=_paper rate=sat mean=arithmetic teacher=$conf/paper.yaml student=$conf/paper.yaml last_tree=(--leaves 8000 --gaussians 160000) at_once=1
  gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)
  if ((gpus > 0)); then trainer=(torchrun --standalone --nproc-per-node "$gpus" -m asrdistill); fi
fi
fetched=$corpus corpus=${corpus:-${data:-$here/data}/download}
data=${data:-$here/data/$variant} exp=${exp:-$here/exp/$variant} train=$data/rung/${rungs[-1]} cepstra=$data/cepstra/train
# The networks' alignment: with an output every 30 ms; --paper every 10 ms, over the last triphones' senones. Of the 5
# hours of --mini they see copies with other vocal tract lengths as well.
ali=$exp/ali/$rate heard=$data/hires/train learnt=$exp/ali/$rate/train
if $mini; then heard+=_copies learnt+=_copies; fi
networks=("${teachers[@]/#/teacher.}" ensemble "${students[@]/#/student.}")
read=$data/read lang=$data/lang lm=$data/lm align_lang=$data/lang_probs decode_lang=$data/lang_all_probs lexicon=$data/corpus/lexicon.txt
decode=(--config "$beams/decode.yaml" --jobs "$jobs") tune=(--config "$beams/tune.yaml" --jobs "$jobs")
held_out=(--held-out "$data/hires/$dev" "$ali/$dev")

if stage 1 "download: the parts, the lexicon, language models" ""; then
  [[ -n $fetched ]] || asrdistill data download librispeech "$corpus" --parts "${parts[@]}" "${sets[@]}" lexicon "${models[@]}" ${mirror:+--mirror "$mirror"} ${table:+--table "$table"}
fi

if stage 2 "corpus: data directories, their subsets and unions" "0.01 min"; then
  asrdistill data prepare librispeech "$corpus" "$data/corpus" --parts "${parts[@]}" "${sets[@]}" lexicon --jobs "$jobs"
  folders=("${parts[@]/#/$data/corpus/}")
  for i in "${!rungs[@]}"; do asrdistill data combine "${folders[@]:0:i+1}" "$data/rung/${rungs[i]}"; done
  for model in mono tri lda_mllt; do asrdistill data subset "$data/rung/${rungs[0]}" "$data/subset/$model" --config "$sizes/${model}_set.yaml"; done
fi

if stage 3 "features: cepstra for the GMMs, and of higher resolution for the networks" "0.1 min"; then
  asrdistill feats fbank "$train" "$data/fbank/train" --config "$conf/fbank.yaml" --jobs "$jobs"
  asrdistill feats cepstra "$data/fbank/train" "$train" "$cepstra" --config "$conf/cepstra.yaml" --jobs "$jobs"
  asrdistill feats fbank "$data/corpus" "$data/fbank" --sets "${sets[@]}" --config "$conf/fbank.yaml" --jobs "$jobs"
  asrdistill feats cepstra "$data/fbank" "$data/corpus" "$data/cepstra" --sets "${sets[@]}" --config "$conf/cepstra.yaml" --jobs "$jobs"
  ! $mini || asrdistill feats fbank "$train" "$data/fbank/train_copies" --config "$conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"
  asrdistill feats cepstra "$data/fbank/${heard##*/}" "$train" "$heard" --config "$conf/hires.yaml" --jobs "$jobs"
  asrdistill feats cepstra "$data/fbank" "$data/corpus" "$data/hires" --sets "${sets[@]}" --config "$conf/hires.yaml" --jobs "$jobs"
fi

# Two lexica: to align, the words of the texts, with G2P; to decode, LibriSpeech's 200,000 words and no others, so that
# nothing is known about the words of the sets.
if stage 4 "language: pronunciations, G2P, the language models" "2 min in all"; then
  asrdistill lang g2p "$lexicon" "$data/g2p"
  asrdistill lang build "$train" "${sets[@]/#/$data/corpus/}" "$lang" --dictionary "$lexicon" --g2p "$data/g2p"
  asrdistill lang build "$data/lang_all" --dictionary "$lexicon" --all
  arpa=("$corpus/3-gram.pruned.3e-7.arpa.gz" "$corpus/${large[1]}") made=("$lm" "${lm}_large") sizes_of=(lm lm_large)
  for i in 0 1; do
    if ((${#lm_text[@]})) && [[ -z $fetched || ! -f ${arpa[i]} ]]; then
      asrdistill lang lm "$data/lang_all" "${made[i]}" --text "${lm_text[@]}" --config "$sizes/${sizes_of[i]}.yaml" --test "${sets[@]/#/$data/corpus/}"
    else
      asrdistill convert lm "${arpa[i]}" "${made[i]}" --lower
    fi
  done
fi

if stage 5 "monophones: GMM from a flat start on the shortest utterances" "0.6 min of its own"; then
  asrdistill gmm mono "$cepstra" "$data/subset/mono" "$lang" "$exp/mono" --config "$sizes/mono.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/mono" "$cepstra" "$data/subset/tri" "$lang" "$exp/ali/mono" --jobs "$jobs"
fi

if stage 6 "triphones: decision trees, LDA and MLLT" "2 min"; then
  asrdistill gmm tri "$cepstra" "$exp/ali/mono" "$data/subset/tri" "$lang" "$exp/tri" --config "$sizes/tri.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/tri" "$cepstra" "$data/subset/lda_mllt" "$lang" "$exp/ali/tri" --jobs "$jobs"
  asrdistill gmm tri "$cepstra" "$exp/ali/tri" "$data/subset/lda_mllt" "$lang" "$exp/lda_mllt" --lda --config "$sizes/lda_mllt.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/lda_mllt" "$cepstra" "$data/subset/lda_mllt" "$lang" "$exp/ali/lda_mllt/subset" --jobs "$jobs"
fi

if stage 7 "speaker adaptation: triphones on fMLLR features" "1 min"; then
  asrdistill feats fmllr "$exp/lda_mllt" "$cepstra" "$exp/ali/lda_mllt/subset" "$data/subset/lda_mllt" "$data/fmllr/subset" --config "$conf/fmllr.yaml" --jobs "$jobs"
  asrdistill gmm tri "$data/fmllr/subset" "$exp/ali/lda_mllt/subset" "$data/subset/lda_mllt" "$lang" "$exp/sat.subset" --config "$sizes/sat.yaml" --jobs "$jobs"
fi

if stage 8 "more speech: adapted triphones on all hours, realignment" "2 min"; then
  before=$exp/sat.subset
  for hours in "${rungs[@]}"; do
    sat=$exp/sat.$hours tree=()
    if [[ $hours == "${rungs[-1]}" ]]; then sat=$exp/sat tree=("${last_tree[@]}"); fi
    asrdistill ali make "$exp/lda_mllt" "$cepstra" "$data/rung/$hours" "$lang" "$exp/ali/lda_mllt/$hours" --jobs "$jobs"
    asrdistill feats fmllr "$before" "$cepstra" "$exp/ali/lda_mllt/$hours" "$data/rung/$hours" "$data/fmllr/$hours" --config "$conf/fmllr.yaml" --jobs "$jobs"
    asrdistill ali make "$before" "$data/fmllr/$hours" "$data/rung/$hours" "$lang" "$exp/ali/before/$hours" --jobs "$jobs"
    asrdistill gmm tri "$data/fmllr/$hours" "$exp/ali/before/$hours" "$data/rung/$hours" "$lang" "$sat" --config "$sizes/sat_$hours.yaml" "${tree[@]}" --jobs "$jobs"
    before=$sat
  done
fi

if stage 9 "targets: alignment that the networks learn; pronunciation probabilities" "0.5 min"; then
  asrdistill feats fmllr "$exp/sat" "$cepstra" "$exp/ali/lda_mllt/${rungs[-1]}" "$train" "$data/fmllr/train" --config "$conf/fmllr.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/sat" "$data/fmllr/train" "$train" "$lang" "$exp/ali/sat/train" --jobs "$jobs"
  $paper || asrdistill ali expand "$exp/ali/sat/train" "$data/fmllr/train" "$ali/train" --config "$sizes/low.yaml" --jobs "$jobs"
  ! $mini || asrdistill ali expand "$ali/train" "$heard" "$learnt"
  asrdistill lang pron-probs "$lang" "$exp/ali/sat/train" "$align_lang"
  asrdistill lang pron-probs "$data/lang_all" "$exp/ali/sat/train" "$decode_lang"
fi

if stage 10 "reference alignments: known words of the sets, for frame accuracy" "0.2 min"; then
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra" "$data/corpus" "$align_lang" "$exp/ali/lda_mllt" --sets "${sets[@]}" --jobs "$jobs"
  asrdistill feats fmllr "$exp/sat" "$data/cepstra" "$exp/ali/lda_mllt" "$data/corpus" "$data/fmllr_known" --sets "${sets[@]}" --config "$conf/fmllr.yaml" --jobs "$jobs"
  asrdistill ali make "$exp/sat" "$data/fmllr_known" "$data/corpus" "$align_lang" "$exp/ali/sat" --sets "${sets[@]}" --jobs "$jobs"
  $paper || asrdistill ali expand "$exp/ali/sat" "$data/fmllr_known" "$ali" --sets "${sets[@]}" --tree "$ali/train" --jobs "$jobs"
fi

if stage 11 "teachers: networks with different seeds, and their ensemble" "16 min"; then
  "${trainer[@]}" nnet train "$heard" "$learnt" "$exp/teacher" --seeds "${teachers[@]}" --config "$teacher" "${held_out[@]}" --jobs "$at_once"
  asrdistill nnet ensemble "${teachers[@]/#/$exp/teacher.}" "$exp/ensemble" --combine "$mean"
fi

if stage 12 "student: taught by the ensemble on its very batches" "8 min"; then
  "${trainer[@]}" nnet train "$heard" "$learnt" "$exp/student" --seeds "${students[@]}" --config "$student" --teacher "$exp/ensemble" "${held_out[@]}" --jobs "$at_once"
fi

if stage 13 "decode GMMs: scales tuned on dev, two passes for the adapted one" "1 min a model"; then
  for model in mono tri lda_mllt; do
    asrdistill decode tune "$exp/$model" "$data/cepstra/$dev" "$decode_lang" "$lm" "$data/corpus/$dev" "$exp/tune/$model" --graph "$exp/graph/$model" "${tune[@]}"
    if [[ $model == lda_mllt ]]; then on=("${sets[@]}"); else on=("$dev"); fi
    asrdistill decode run "$exp/$model" "$data/cepstra" "$decode_lang" "$lm" "$exp/decode/$model" --sets "${on[@]}" --tuned "$exp/tune/$model" --graph "$exp/graph/$model" "${decode[@]}"
  done
  asrdistill ali make "$exp/lda_mllt" "$data/cepstra" "$data/corpus" "$decode_lang" "$exp/ali/first_pass" --sets "${sets[@]}" --text "$exp/decode/lda_mllt" --jobs "$jobs"
  asrdistill feats fmllr "$exp/sat" "$data/cepstra" "$exp/ali/first_pass" "$data/corpus" "$data/fmllr" --sets "${sets[@]}" --config "$conf/fmllr.yaml" --jobs "$jobs"
  asrdistill decode run "$exp/sat" "$data/fmllr" "$decode_lang" "$lm" "$exp/decode/sat" --sets "${sets[@]}" --tuned "$exp/tune/lda_mllt" --graph "$exp/graph/sat" --lattice-beam 6 "${decode[@]}"
fi

rescore=(--sets "${sets[@]}" --lm "${lm}_large" --graph "$exp/graph/lm_large" --jobs "$jobs")
second=(--sets "${sets[@]}" --graph "$exp/graph/$rate" --lattice-beam 6 "${decode[@]}")
if stage 14 "decode networks: scales tuned on dev, all sets, with the 3-gram" "1 min a model"; then
  for model in "teacher.$seed" ensemble "student.$seed"; do asrdistill decode tune "$exp/$model" "$data/hires/$dev" "$decode_lang" "$lm" "$data/corpus/$dev" "$exp/tune/$model" --graph "$exp/graph/$rate" "${tune[@]}"; done
  asrdistill decode run "$exp/teacher" "$data/hires" "$decode_lang" "$lm" "$exp/decode/teacher" --seeds "${teachers[@]}" --tuned "$exp/tune/teacher.$seed" "${second[@]}"
  asrdistill decode run "$exp/ensemble" "$data/hires" "$decode_lang" "$lm" "$exp/decode/ensemble" --tuned "$exp/tune/ensemble" "${second[@]}"
  asrdistill decode run "$exp/student" "$data/hires" "$decode_lang" "$lm" "$exp/decode/student" --seeds "${students[@]}" --tuned "$exp/tune/student.$seed" "${second[@]}"
fi

if stage 15 "rescore: the lattices with the larger LM" ""; then
  for model in sat "${networks[@]}"; do asrdistill decode rescore "$exp/decode/$model" "$exp/rescore/$model" "${rescore[@]}"; done
fi

if stage 16 "open vocabulary: of the train text alone, subwords beside whole words" "1 min"; then
  asrdistill lang build "$train" "$read/lang" --dictionary "$lexicon" --g2p "$data/g2p"
  asrdistill lang pron-probs "$read/lang" "$exp/ali/sat/train" "$read/words"
  asrdistill lang subwords "$train" "$read/words" "$read/subwords" --dictionary "$lexicon" --config "$sizes/subwords.yaml"
  asrdistill lang lm "$train" "$read/words" "$read/lm_words" --order 3
  asrdistill lang lm "$train" "$read/subwords" "$read/lm_subwords" --order 4 --dictionary "$lexicon"
fi

if stage 17 "decode with open vocabulary: errors on words that the text lacks" "3 min a student"; then
  for units in words subwords; do
    asrdistill decode tune "$exp/student.$seed" "$data/hires/$dev" "$read/$units" "$read/lm_$units" "$data/corpus/$dev" "$exp/tune/$units" --graph "$exp/graph/$units" "${tune[@]}"
    asrdistill decode run "$exp/student" "$data/hires" "$read/$units" "$read/lm_$units" "$exp/$units/student" --seeds "${students[@]}" --sets "${sets[@]}" --tuned "$exp/tune/$units" --graph "$exp/graph/$units" "${decode[@]}"
  done
  for set in "${sets[@]}"; do asrdistill score "$data/corpus/$set/text" "$exp/subwords/student.$seed/$set/hyp.txt" --against "$exp/words/student.$seed/$set/hyp.txt" --vocabulary "$read/words/words.txt"; done
fi

if stage 18 "score: frame accuracy, WER, significance, table" "0.2 min"; then
  for model in "${networks[@]}"; do asrdistill nnet evaluate "$exp/$model" "$data/hires" "$ali" "$exp/frames/$model" --sets "${sets[@]}" --jobs "$jobs"; done
  asrdistill report "$exp" --config "$conf/systems_$size.yaml" --sets "${sets[@]}" --data "$data" --lang "$decode_lang" --lm "$lm" --variant "$variant" --html
fi

if stage 19 "export: the student in one folder; transcribe a file with it" "1 min in all"; then
  asrdistill export "$exp/student.$seed" "$decode_lang" "$lm" "$exp/tune/student.$seed" "$exp/student" --config "$beams/decode.yaml"
  speech=("$corpus/LibriSpeech/${sets[-1]}"/*/*/*.flac)
  asrdistill transcribe "$exp/student" "${speech[0]}"
fi
