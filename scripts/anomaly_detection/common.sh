# Sourced by the scripts of anomaly detection: windows of 100 rows.

. "$(dirname -- "$0")/../horizons.sh"
. scripts/model_first.sh

# usual MODEL: the settings that all data sets share.
usual() {
    echo --seq_len 100 --batch_size 128 --learning_rate 0.0001 --train_epochs 10 --patience 3 --cos 0 --lradj type1
}
