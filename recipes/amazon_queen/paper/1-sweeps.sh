# Table 1 and its knobs, Table 5, transfer sets: a picture and a table each. Sourced by run.sh.
names=(temperature teachers size share)
if ! $quick; then names+=(hard_weight combine keep transfer subsets); fi
sweeps=("${names[@]/#/$here/paper/}")
asrdistill sweep "${sweeps[@]/%/.yaml}" --data "$data" --exp "$exp" --lang "$spoken" --lm "$lm" \
  --alignment ../ali/sat --heard "$heard" --seeds "$seeds" "${quickly[@]}" --jobs "$jobs"
