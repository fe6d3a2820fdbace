# Sourced by the scripts of imputation: windows of 96 steps, a run for each share of hidden values.

. "$(dirname -- "$0")/../horizons.sh"
. scripts/model_first.sh

# usual MODEL: the settings that all data sets share.
usual() {
    echo --seq_len 96 --mask_rate "${RATES:-0.125,0.25,0.375,0.5}"
    echo --batch_size 16 --learning_rate 0.001 --train_epochs 10 --patience 3 --cos 0 --lradj type1
}
