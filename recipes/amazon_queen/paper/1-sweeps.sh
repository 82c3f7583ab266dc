# Table 1 and its knobs, Table 5, transfer sets: a picture and a table each. Sourced by run.sh.
names=(temperature hard_weight combine teachers keep size share)
if ! $quick; then names+=(transfer subsets); fi  # which train teachers of their own
sweeps=("${names[@]/#/$here/paper/}")
asrdistill sweep "${sweeps[@]/%/.yaml}" --data "$data" --exp "$exp" --lang "$spoken" --lm "$lm" \
  --alignment ../ali/sat --heard "$heard" "${quickly[@]}" --jobs "$jobs"
