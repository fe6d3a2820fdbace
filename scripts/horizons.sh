# Sourced by the scripts per data set: what the runs of the published protocol share.
# They run in the repository's root, wherever they are called from: relative paths in flags start there.
# $SEEDS, several with spaces between, repeats every run with each of them; $HORIZONS runs some of the horizons alone.

CDPATH= cd -- "$(dirname -- "$0")/../.."
. scripts/environment.sh
. scripts/attempt.sh
choose_python
HORIZONS=${HORIZONS:-96 192 336 720}

# one_run FLAGS …: one call of run.py, or one per seed.
one_run() {
    for seed in ${SEEDS:-2021}; do
        attempt "$python" run.py \
            --is_training 1 \
            --seed "$seed" \
            "$@"
    done
}

# four_horizons DATA [FLAGS …]: look back 96 steps, forecast 96, 192, 336 and 720.
four_horizons() {
    data=$1
    shift
    for pred_len in $HORIZONS; do
        one_run \
            --model CALF \
            --gpt_layers 6 \
            --task_name long_term_forecast \
            --model_id "${data}_CALF_96_$pred_len" \
            --data "$data" \
            --seq_len 96 \
            --pred_len "$pred_len" \
            "$@"
    done
}
