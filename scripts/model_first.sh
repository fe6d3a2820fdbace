# Sourced by the scripts of tasks without a forecast, after horizons.sh.
# A script defines `settings MODEL`, which prints the flags of a run.

# run_task TASK DATA [MODEL] [FLAGS …]: one run, or one for each seed; CALF if no model is named.
run_task() {
    task=$1
    data=$2
    shift 2
    model=CALF
    case ${1:-} in
        '' | -*) ;;
        *)
            model=$1
            shift
            ;;
    esac
    # shellcheck disable=SC2046 # the settings are words
    one_run --task_name "$task" --model "$model" --data "$data" $(usual "$model") $(settings "$model") "$@"
}
