# Sourced by the scripts per data set: the published long-term protocol, one run per horizon.
# They run in the repository's root, wherever they are called from: relative paths in flags start there.

CDPATH= cd -- "$(dirname -- "$0")/../.."
. scripts/environment.sh

# long_term DATA [FLAGS …]: look back 96 steps, forecast 96, 192, 336 and 720.
long_term() {
    data=$1
    shift
    choose_python
    for pred_len in 96 192 336 720; do
        "$python" run.py \
            --task_name long_term_forecast \
            --is_training 1 \
            --model CALF \
            --model_id "${data}_CALF_96_$pred_len" \
            --data "$data" \
            --seq_len 96 \
            --pred_len "$pred_len" \
            --gpt_layers 6 \
            "$@"
    done
}
