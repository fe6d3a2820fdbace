#!/bin/sh
# Trains CALF on several data sets together, with its language model pretrained, random and left out, tests each network
# on every data set trained on and on others, and writes results/cross_domain.md and a picture.
#
#   sh scripts/cross_domain.sh [--sources NAMES] [--targets NAMES] [--horizons STEPS] [--rows NAMES] [--seeds N]
#                              [FLAGS of run.py …]
#
#   --sources   the data sets to train on, two or more with commas between; ETTh1,ETTm1,weather if left out
#   --targets   the data sets to test on beside them; if left out illness (at 96 steps, for more it is too short) and
#               those of ETT that are not trained on, as far as they lie on disk
#   --horizons  some of 96,192,336,720; 96 if left out
#   --rows      some of full,random,none with commas between; all if left out: the pretrained language model, a random
#               one, and neither language model nor text branch
#   --seeds     how many seeds, from 2021 on; 1 if left out
#
# A finished run is not repeated: after an interruption, the same command goes on where it stopped. A failing run does
# not stop the others; all failures are listed at the end. Exit code 1 if there were any.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
. scripts/environment.sh
. scripts/attempt.sh
. scripts/choices.sh

every_row="full random none"
every_set="$(echo $(scripts_of long_term_forecasting) illness)"

# flags_of ROW: what makes the row of CALF.
flags_of() {
    case $1 in
        random) echo --llm_init random ;;
        none) echo --backbone none --text_branch 0 ;;
    esac
}

sources="ETTh1 ETTm1 weather"
targets=
horizons=96
rows=$every_row
seeds=1
script=scripts/cross_domain.sh
own_flags="--sources --targets --horizons --rows --seeds"
take() {
    case $1 in
        --sources) sources=$(chosen --sources "$2" "$every_set") ;;
        --targets) targets=$(chosen --targets "$2" "$every_set") ;;
        --horizons) horizons=$(chosen --horizons "$2" "96 192 336 720") ;;
        --rows) rows=$(chosen --rows "$2" "$every_row") ;;
        --seeds) seeds=$(count_of --seeds "$2") ;;
    esac
}
. scripts/read_flags.sh

case $sources in
    *' '*) ;;
    *) refuse "--sources $sources: name two data sets or more." ;;
esac
# shellcheck disable=SC2086 # names are words
[ -z "$(printf '%s\n' $sources | sort | uniq -d)" ] || refuse "--sources: name each data set once."
for target in $targets; do
    ! has "$sources" "$target" || refuse "--targets: $target is trained on, and tested without being named."
done
choose_python
if [ -z "$targets" ]; then
    present=" $(echo $("$python" -m data_provider.download --present)) "
    for target in illness ETTh1 ETTh2 ETTm1 ETTm2; do
        [ "$target" != illness ] || [ "$horizons" = 96 ] || continue # too short for more
        has "$sources" "$target" || ! has "$present" "$target" || targets="$targets $target"
    done
fi
commas() {
    echo "$@" | tr ' ' ,
}
# shellcheck disable=SC2086 # names are words
names=$(commas $sources)
# shellcheck disable=SC2086
elsewhere=${targets:+--target_data $(commas $targets)}

FAILURES=$(mktemp)
export FAILURES
trap end_of_runs EXIT
trap 'exit 130' INT

for pred_len in $horizons; do
    for row in $rows; do
        for seed in $(seeds_of "$seeds"); do
            echo "=== $names, $pred_len steps, $row, seed $seed"
            # shellcheck disable=SC2046,SC2086 # the flags are words; those of the row win over those of the user
            attempt "$python" run.py \
                --task_name long_term_forecast --model CALF --gpt_layers 6 \
                --model_id cross_domain \
                --data "$names" $elsewhere \
                --seq_len 96 --pred_len "$pred_len" --seed "$seed" \
                --batch_size 256 --learning_rate 0.0005 --train_epochs 100 --patience 10 --tmax 20 \
                --save_arrays 0 \
                "$@" $(flags_of "$row")
        done
    done
done

code=0
list_failures || code=1
"$python" -m utils.tables.cross_domain || code=1
exit "$code"
