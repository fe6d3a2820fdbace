#!/bin/sh
# TimesNet at 96 steps. Settings: the scripts of thuml/Time-Series-Library (4e938a1), with its calendar
# marks. Periods are chosen for each window; --batch_periods 1 chooses them for a batch, as there.
# Data sets come first, every one on disk if left out; extra flags go to run.py and win:
#   sh scripts/peers/TimesNet.sh ETTh1 ETTm1 --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    of_library
    echo --marks 1 --e_layers 2 --top_k 5
    case $1,$2 in
        ETTh1,*) echo --d_model 16 --d_ff 32 ;;
        ETTm1,96 | ETTm1,192) echo --d_model 64 --d_ff 64 ;;
        ETTm1,336) echo --d_model 16 --d_ff 32 --train_epochs 3 ;;
        ETTm1,*) echo --d_model 16 --d_ff 32 ;;
        ETTm2,192) echo --d_model 32 --d_ff 32 --train_epochs 1 ;;
        ETTm2,720) echo --d_model 16 --d_ff 32 --train_epochs 1 ;;
        weather,192 | weather,720) echo --d_model 32 --d_ff 32 --train_epochs 1 ;;
        electricity,*) echo --d_model 256 --d_ff 512 ;;
        traffic,*) echo --d_model 512 --d_ff 512 ;;
        *) echo --d_model 32 --d_ff 32 ;;
    esac
}

run_peer TimesNet "$@"
