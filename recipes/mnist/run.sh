#!/usr/bin/env bash
# The missing digit (Hinton, Vinyals and Dean, section 3): what a student learns about a class that it never sees. An
# image is an utterance of one frame and its digit the senone, so that the tools for speech do everything.
#
# The times of the stages are those of scikit-learn's digits on two cores with AVX2; MNIST takes an hour or two.
#
#   recipes/mnist/run.sh --digits      scikit-learn's digits, without a network
#   recipes/mnist/run.sh               MNIST
#
#   --digits         scikit-learn's 1,797 digits of 8 x 8 pixels instead of MNIST
#   --mnist DIR      your own folder with MNIST's four files instead of the download
#   --mirror URL     server to fetch MNIST from (default: known mirrors)
#   --epochs N       epochs of all trainings, to see quickly that everything works (default: those of conf)
digits=false mnist="" mirror="" epochs=0 seeds=3
source "$(dirname "${BASH_SOURCE[0]}")/../parse_options.sh"
variant=mnist shifts=(--pixels 2 --copies 8)
if $digits; then variant=digits shifts=(--pixels 1); fi
data=${data:-$here/data/$variant} exp=${exp:-$here/exp/$variant} conf=$conf/$variant
images=$data/corpus/features ali=$data/corpus/ali
few=() more=(--jobs "$jobs") seeded=(--seeds "${students[@]}")
if ((epochs > 0)); then few=(--epochs "$epochs") more+=("${few[@]}"); fi

if stage 1 "images: MNIST or scikit-learn's digits; shifted copies for the teachers" "0.2 min"; then
  ! $digits || python "$here/local/mnist.py" digits "$data/download"
  $digits || [[ -n $mnist ]] || python "$here/local/mnist.py" download "$data/download" ${mirror:+--mirror "$mirror"}
  python "$here/local/mnist.py" prepare "${mnist:-$data/download}" "$data/corpus"
  python "$here/local/shift_images.py" "$images/train" "$data/shifted/features" "${shifts[@]}"
  asrdistill ali expand "$ali/train" "$data/shifted/features" "$data/shifted/ali"
fi

if stage 2 "teachers and baselines" "1 min"; then
  asrdistill nnet train "$data/shifted/features" "$data/shifted/ali" "$exp/teacher" "${seeded[@]}" --config "$conf/teacher.yaml" "${more[@]}"
  asrdistill nnet train "$images/train" "$ali/train" "$exp/baseline" "${seeded[@]}" --config "$conf/baseline.yaml" "${more[@]}"
  asrdistill nnet train "$images/train" "$ali/train" "$exp/narrow" "${seeded[@]}" --config "$conf/narrow.yaml" "${more[@]}"
fi

if stage 3 "soft targets: of each teacher" "0.2 min"; then
  for i in "${students[@]}"; do asrdistill distill targets "$exp/teacher.$i" "$images/train" "$exp/targets.$i" --keep 0 --temperatures 1 2 2.5 4 8 20 --jobs 1; done
fi

# A student learns from the teacher of its seed, from images that are not shifted. Of what is left out, hard targets only
# teach that it never comes: soft ones alone.
if stage 4 "students: of all digits, without 3, of 7 and 8 alone, over temperatures" "1 min"; then
  for i in "${students[@]}"; do
    learn=("$images/train" "$ali/train") from=(--config "$conf/student.yaml" --seeds "$i" --soft-targets "$exp/targets.$i" "${few[@]}")
    asrdistill nnet train "${learn[@]}" "$exp/student" "${from[@]}"
    asrdistill nnet train "${learn[@]}" "$exp/matching" "${from[@]}" --loss logits
    asrdistill nnet train "${learn[@]}" "$exp/without_3" "${from[@]}" --hard-weight 0 --omit 3
    asrdistill nnet train "${learn[@]}" "$exp/only_7_8" "${from[@]}" --hard-weight 0 --omit 0 1 2 3 4 5 6 9
  done
  python "$here/local/temperatures.py" "$data/corpus" "$exp" "${seeded[@]}" --config "$conf/student.yaml" "${more[@]}"
fi

if stage 5 "score: bias of what was left out, chosen on validation; errors, table" "0.5 min"; then
  asrdistill nnet adjust "$exp/without_3" "$exp/without_3_bias" "${seeded[@]}" --bias "$images/validation" "$ali/validation" --phones 3 --jobs 1
  asrdistill nnet adjust "$exp/only_7_8" "$exp/only_7_8_bias" "${seeded[@]}" --bias "$images/validation" "$ali/validation" --phones 7 8 --jobs 1
  for system in teacher baseline narrow student matching without_3 without_3_bias only_7_8 only_7_8_bias; do
    asrdistill nnet evaluate "$exp/$system" "$images" "$ali" "$exp/frames/$system" "${seeded[@]}" --sets test --jobs 1
  done
  asrdistill report "$exp" --config "$conf/systems.yaml"
fi
