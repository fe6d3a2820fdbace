#!/bin/sh
# Runs CALF and its ablations at the published settings, and writes results/ablation.md and a picture.
#
#   sh scripts/ablation.sh [--datasets NAMES] [--horizons STEPS] [--rows NAMES] [--seeds N] [FLAGS of run.py …]
#
#   --datasets  some of the data sets of scripts/long_term_forecasting with commas between; ETTh1 if left out
#   --horizons  some of 96,192,336,720; 96 if left out
#   --rows      some of the rows with commas between; all if left out:
#                 full           CALF as published
#                 random         its language model starts at random
#                 random_all     the same, every weight trains, no LoRA and no text branch ("random init" of Tan et al.)
#                 none, linear, attention, transformer   what stands in for the language model, no text branch
#                 no_text, no_output, no_feature         a branch or a loss left out
#                 no_lora, frozen                        no LoRA; norms and positions frozen, LoRA alone trains
#                 random_words, learned_words, top_words what the text branch attends to
#                 reversed, shuffled                     the order in which the channels are read
#   --seeds     how many seeds, from 2021 on; 1 if left out
#
# A finished run is not repeated: after an interruption, the same command goes on where it stopped. A failing run does
# not stop the others; all failures are listed at the end. Exit code 1 if there were any.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
. scripts/environment.sh
. scripts/attempt.sh
. scripts/choices.sh

every_row="full random random_all none linear attention transformer no_text no_output no_feature no_lora frozen \
random_words learned_words top_words reversed shuffled"

# flags_of ROW: what makes the row of CALF.
flags_of() {
    case $1 in
        full) ;;
        random) echo --llm_init random ;;
        random_all) echo --llm_init random --freeze none --lora 0 --text_branch 0 ;;
        no_text) echo --text_branch 0 ;;
        no_output) echo --output_w 0 ;;
        no_feature) echo --feature_w 0 ;;
        no_lora) echo --lora 0 ;;
        frozen) echo --freeze all ;;
        random_words) echo --words random ;;
        learned_words) echo --words learned ;;
        top_words) echo --words topk ;;
        reversed) echo --channel_order reversed ;;
        shuffled) echo --channel_order random:0 ;;
        *) echo --backbone "$1" --text_branch 0 ;;
    esac
}

datasets=ETTh1
HORIZONS=96
rows=$every_row
seeds=1
script=scripts/ablation.sh
own_flags="--datasets --horizons --rows --seeds"
take() {
    case $1 in
        --datasets) datasets=$(chosen --datasets "$2" "$(echo $(scripts_of long_term_forecasting))") ;;
        --horizons) HORIZONS=$(chosen --horizons "$2" "96 192 336 720") ;;
        --rows) rows=$(chosen --rows "$2" "$every_row") ;;
        --seeds) seeds=$(count_of --seeds "$2") ;;
    esac
}
. scripts/read_flags.sh

choose_python
SEEDS=$(seeds_of "$seeds")
FAILURES=$(mktemp)
PYTHON=$python
export SEEDS FAILURES PYTHON HORIZONS
trap end_of_runs EXIT
trap 'exit 130' INT

for data in $datasets; do
    for row in $rows; do
        echo "=== $data $row"
        # shellcheck disable=SC2046 # the flags are words; they win over those of the user
        attempt sh "scripts/long_term_forecasting/$data.sh" "$@" $(flags_of "$row")
    done
done

code=0
list_failures || code=1
"$python" -m utils.tables.ablation || code=1
exit "$code"
