# Sourced by the scripts of the competitions: the published settings of CALF on M4.

. "$(dirname -- "$0")/../horizons.sh"

# one_pattern DATA PATTERN [FLAGS …]
one_pattern() {
    data=$1
    pattern=$2
    shift 2
    one_run \
        --model CALF \
        --gpt_layers 6 \
        --task_name short_term_forecast \
        --model_id "${data}_$pattern" \
        --data "$data" \
        --seasonal_patterns "$pattern" \
        --batch_size 512 \
        --learning_rate 0.001 \
        --train_epochs 200 \
        --patience 20 \
        --tmax 20 \
        --task_loss smape \
        --output_loss mase \
        --feature_loss smooth_l1 \
        "$@"
}
