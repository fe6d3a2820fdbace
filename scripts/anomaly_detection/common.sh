# Sourced by the scripts of anomaly detection. A script defines `settings MODEL`, which prints the flags of a run.

. "$(dirname -- "$0")/../horizons.sh"

# detect DATA [MODEL] [FLAGS …]: windows of 100 rows; CALF if no model is named.
detect() {
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
        --task_name anomaly_detection \
        --model "$model" \
        --data "$data" \
        --seq_len 100 \
        --batch_size 128 \
        --learning_rate 0.0001 \
        --train_epochs 10 \
        --patience 3 \
        --cos 0 \
        --lradj type1 \
        $(settings "$model") \
        "$@"
}
