# A senone head on Whisper's frozen encoder as the teacher, alone and in company. Sourced by run.sh.
heard=$data/whisper own=$exp/whisper numbers=(0 1 2)
if $quick || $small; then numbers=(0); fi

# Beside the train set there is other audio, of which nobody knows the words: the voices of another game.
more=("$data/corpus/train")
if ! $small; then
  python "$here/local/steel_sky.py" download "$data/download_sky"
  python "$here/local/steel_sky.py" prepare "$data/download_sky" "$data/sky" --jobs "$jobs"
  more+=("$data/sky/unlabelled")
fi
asrdistill combine "${more[@]}" "$data/corpus/more"
asrdistill features "$data/corpus/more" "$data/fbank/more" --config "$conf/fbank.yaml" --jobs "$jobs"
asrdistill features "$data/corpus/more" "$data/fbank/more_copies" --config "$conf/fbank.yaml" --warps 1 0.92 1.05 --jobs "$jobs"
for set in more dev test test_unseen; do
  asrdistill encode whisper:tiny.en "$data/fbank/$set" "$data/corpus/$set" "$heard/$set" --jobs "$jobs"
done

head=(--config "$conf/whisper_head.yaml")
if $small; then head+=(--epochs 2 --width 128); fi
printf '%s\n' "${numbers[@]}" | xargs -P "$jobs" -I {} asrdistill train "$heard/more" "$ali/train" "$own/head.{}" "${head[@]}" \
  --seed {} --held-out "$heard/dev" "$ali/dev"

# How much the head and the ensemble on filterbanks are worth beside each other, dev says.
for set in dev test test_unseen; do
  asrdistill join "$data/fbank/$set" "$heard/$set" "$data/both/$set"
done
asrdistill ensemble "$own/head.0" "${members[@]}" "$own/company.0" --weights-on "$data/both/dev" "$ali/dev" --jobs "$jobs"

asrdistill soft-targets "$own/head.0" "$heard/more" "$own/targets" "${targets[@]}" --jobs "$jobs"
asrdistill copies "$own/targets" "$data/fbank/more_copies" "$own/targets_more"
