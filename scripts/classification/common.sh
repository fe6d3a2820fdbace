# Sourced by the scripts of classification. A script defines `settings MODEL`, which prints the flags of a run.

. "$(dirname -- "$0")/../horizons.sh"

# usual MODEL: the settings that all data sets share.
usual() {
    case $1 in
        CALF | GPT4TS) echo --gpt_layers 6 --batch_size 64 --train_epochs 50 ;;
        *) echo --batch_size 16 --learning_rate 0.001 --train_epochs 30 ;;
    esac
}

# classify DATA [MODEL] [FLAGS …]: train, test and compare with MiniRocket; CALF if no model is named.
classify() {
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
        --task_name classification \
        --model "$model" \
        --data "$data" \
        --patience 10 \
        --cos 0 \
        --lradj type2 \
        --decay_fac 1 \
        $(usual "$model") \
        $(settings "$model") \
        "$@"
}
