#!/bin/sh
# For cron: forecasts from a checkpoint with the newest CSV file of a folder, and writes forecasts/<date>.csv.
# 0 6 1 * *  sh /path/to/calf/scripts/monthly.sh checkpoints/<setting> /path/to/folder
# Both paths may be relative to where it is called. Extra flags go to run.py. Nothing is written where the forecast fails.
set -eu
[ $# -ge 2 ] || { echo "usage: sh scripts/monthly.sh CHECKPOINT FOLDER" >&2; exit 2; }
checkpoint=$1 folder=$(CDPATH= cd -- "$2" && pwd)
case $checkpoint in
/*) ;;
*) [ ! -e "$checkpoint" ] || checkpoint=$PWD/$checkpoint ;; # else one of the repository, or of the hub
esac
shift 2
CDPATH= cd -- "$(dirname -- "$0")/.."

. scripts/environment.sh
choose_python

newest=$(ls -t -- "$folder"/*.csv 2>/dev/null | head -n 1)
[ -n "$newest" ] || { echo "no CSV file in $folder" >&2; exit 2; }
"$python" run.py --is_training 0 --load "$checkpoint" --data_path "$newest" --do_predict \
    --output "forecasts/$(date +%Y-%m-%d).csv" "$@"
