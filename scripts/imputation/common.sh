# Sourced by the scripts of imputation. A script defines `settings MODEL`, which prints the flags of a run.

. "$(dirname -- "$0")/../horizons.sh"
RATES=${RATES:-0.125,0.25,0.375,0.5}

# impute DATA [MODEL] [FLAGS …]: windows of 96 steps, a run for each share of hidden values; CALF if no model is named.
impute() {
    data=$1
    shift
    model=CALF
    case ${1:-} in
        '' | -*) ;;
        *)
            model=$1
            shift
            ;;
    esac
    # shellcheck disable=SC2046 # the settings are words
    one_run \
        --task_name imputation \
        --model "$model" \
        --data "$data" \
        --seq_len 96 \
        --mask_rate "$RATES" \
        --batch_size 16 \
        --learning_rate 0.001 \
        --train_epochs 10 \
        --patience 3 \
        --cos 0 \
        --lradj type1 \
        $(settings "$model") \
        "$@"
}
