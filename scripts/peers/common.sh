# Sourced by the scripts per peer: which data sets to run, and at which horizons.
# A script defines `settings DATA PRED_LEN`, which prints the flags of a run.

. "$(dirname -- "$0")/../horizons.sh"

# of_library: the training of thuml/Time-Series-Library where its scripts do not say otherwise. Its type1 halves the rate
# after every epoch but the first, which is type2 here.
of_library() {
    echo --batch_size 32 --learning_rate 0.0001 --train_epochs 10 --patience 3 --cos 0 --lradj type2 --decay_fac 0.5
}

# run_peer MODEL [DATA …] [FLAGS …]: look back 96 steps, forecast 96, 192, 336 and 720; every data set on disk if none
# is named.
run_peer() {
    model=$1
    shift
    chosen=
    while [ "$#" -gt 0 ]; do
        case $1 in
            -*) break ;;
        esac
        chosen="$chosen $1"
        shift
    done
    [ -n "$chosen" ] || chosen=$("$python" -m data_provider.download --present | grep -e ETT -e weather -e electricity -e traffic)
    for data in $chosen; do
        for pred_len in $HORIZONS; do
            # shellcheck disable=SC2046 # the settings are words
            one_run \
                --task_name long_term_forecast \
                --model "$model" \
                --data "$data" \
                --seq_len 96 \
                --pred_len "$pred_len" \
                $(settings "$data" "$pred_len") \
                "$@"
        done
    done
}
