#!/bin/sh
# Runs the published experiments for which there are data on disk, with several seeds, and writes results/tables.md.
#
#   sh scripts/reproduce.sh [--models NAMES] [--only TASKS] [--datasets NAMES] [--seeds N] [FLAGS of run.py …]
#
#   --models    some of the models with commas between; CALF if left out. The others are run on long_term and on the
#               three last tasks alone
#   --only      some of long_term,few_shot,zero_shot,m4 with commas between, which are run if it is left out, and of
#               imputation,anomaly_detection,classification
#   --datasets  some of the data sets with commas between; m4, or one of its frequencies, means M4
#   --seeds     how many seeds, from 2021 on; 3 if left out
#
# A finished run is not repeated: after an interruption, the same command goes on where it stopped. A failing run does
# not stop the others; all failures are listed at the end. Exit code 1 if there were any, 2 if there was nothing to run.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
. scripts/environment.sh
. scripts/attempt.sh
. scripts/choices.sh
. scripts/m4_patterns.sh

only="long_term few_shot zero_shot m4"
further="imputation anomaly_detection classification"
tasks="$only $further"
models=CALF
datasets=
seeds=3
script=scripts/reproduce.sh
own_flags="--models --only --datasets --seeds"

# of_all_tasks: every data set that there is a script for.
of_all_tasks() {
    for folder in long_term_forecasting $further; do
        scripts_of "$folder"
    done | awk '!seen[$0]++'
}

take() {
    case $1 in
        --models) models=$(chosen --models "$2" "CALF $(echo $(scripts_of peers))") ;;
        --only) only=$(chosen --only "$2" "$tasks") ;;
        --datasets) datasets=$(chosen --datasets "$2" "$(echo $(of_all_tasks) m4 "$m4_patterns")") ;;
        --seeds) seeds=$(count_of --seeds "$2") ;;
    esac
}
. scripts/read_flags.sh

choose_python
present=$("$python" -m data_provider.download --present)
present=$(echo $present) # on one line
plan=
skipped=
absent=
elsewhere=

wanted() {
    [ -z "$datasets" ] || has "$datasets" "$1"
}

# on_disk NAME WHAT: whether there are data of that name; if not, WHAT is skipped.
on_disk() {
    has "$present" "$1" && return
    skipped="$skipped  $2
"
    has "$absent" "$1" || absent="$absent $1"
    return 1
}

# in_place TASK DATA: whether the data of a task without a forecast are there; if not, they are skipped.
in_place() {
    folder=${CALF_DATASETS:-datasets}
    case $1 in
        imputation) on_disk "$2" "$1 $2" ;;
        anomaly_detection) [ -d "$folder/$2" ] || lacks "$1 $2" ;;
        classification) [ -d "$folder/UEA/$2" ] || lacks "$1 $2" ;;
    esac
}

# lacks WHAT: it is skipped; datasets/README.md says where its data come from.
lacks() {
    elsewhere=yes
    skipped="$skipped  $1
"
    return 1
}

# add TASK DATA: one more line of the plan.
add() {
    plan="$plan$*
"
}

for task in long_term few_shot zero_shot; do
    has "$only" "$task" || continue
    for data in $(scripts_of "${task}_forecasting"); do
        wanted "$data" && on_disk "$data" "$task $data" || continue
        if [ "$task" = long_term ]; then
            for model in $models; do
                add long_term "$data" "$model"
            done
            continue
        fi
        has "$models" CALF || continue
        if [ "$task" = few_shot ]; then
            add few_shot "$data"
            continue
        fi
        targets=
        for target in $(scripts_of zero_shot_forecasting); do
            [ "$target" != "$data" ] && on_disk "$target" "zero_shot $data to $target" || continue
            targets="$targets,$target"
        done
        [ -z "$targets" ] || add zero_shot "$data" to "${targets#,}"
    done
done
for task in $further; do
    has "$only" "$task" || continue
    for data in $(scripts_of "$task"); do
        wanted "$data" && in_place "$task" "$data" || continue
        for model in $models; do
            add "$task" "$data" "$model"
        done
    done
done
if has "$only" m4 && has "$models" CALF; then
    for pattern in $m4_patterns; do
        { wanted m4 || wanted "$pattern"; } && on_disk "m4/$pattern" "m4 $pattern" || continue
        add m4 "$pattern"
    done
fi

if [ -n "$skipped" ]; then
    echo "Skipped for lack of data:"
    printf %s "$skipped"
    [ -z "$absent" ] || echo "To get them: python -m data_provider.download$absent"
    [ -z "$elsewhere" ] || echo "datasets/README.md says where the data of further tasks come from."
fi
if [ -z "$plan" ]; then
    echo "Nothing to run."
    "$python" -m utils.tables
    exit 2
fi

SEEDS=$(seeds_of "$seeds")
echo "To run, with seeds $SEEDS; what is finished is not repeated:"
printf %s "$plan" | sed 's/^/  /'

FAILURES=$(mktemp)
PYTHON=$python
export SEEDS FAILURES PYTHON PATTERNS
trap end_of_runs EXIT
trap 'exit 130' INT

while read -r task data model targets <&3; do
    PATTERNS=
    # shellcheck disable=SC2086 # empty words leave no space
    echo "===" $task $data $model $targets
    case $task in
        m4)
            PATTERNS=$data
            attempt sh scripts/short_term_forecasting/m4.sh "$@"
            ;;
        imputation | anomaly_detection | classification) attempt sh "scripts/$task/$data.sh" "$model" "$@" ;;
        zero_shot) attempt sh "scripts/zero_shot_forecasting/$data.sh" --target_data "$targets" "$@" ;;
        *)
            case $model in
                '' | CALF) attempt sh "scripts/${task}_forecasting/$data.sh" "$@" ;;
                *) attempt sh "scripts/peers/$model.sh" "$data" "$@" ;;
            esac
            ;;
    esac
done 3<<END
${plan%?}
END

code=0
list_failures || code=1
"$python" -m utils.tables || code=1
exit "$code"
