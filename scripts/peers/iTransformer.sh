#!/bin/sh
# iTransformer at 96 steps. Settings: thuml/iTransformer (c2426e6), whose figures are the published ones; for
# weather, electricity and traffic thuml/Time-Series-Library (4e938a1) has the same. Calendar marks are tokens there.
# Data sets come first, every one on disk if left out; extra flags go to run.py and win:
#   sh scripts/peers/iTransformer.sh ETTh1 ETTm1 --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    of_library
    echo --marks 1 --n_heads 8
    case $1,$2 in
        ETTh1,96 | ETTh1,192) echo --e_layers 2 --d_model 256 --d_ff 256 ;;
        ETTh1,*) echo --e_layers 2 --d_model 512 --d_ff 512 ;;
        weather,*) echo --e_layers 3 --d_model 512 --d_ff 512 ;;
        electricity,*) echo --e_layers 3 --d_model 512 --d_ff 512 --batch_size 16 --learning_rate 0.0005 ;;
        traffic,*) echo --e_layers 4 --d_model 512 --d_ff 512 --batch_size 16 --learning_rate 0.001 ;;
        *) echo --e_layers 2 --d_model 128 --d_ff 128 ;;
    esac
}

run_peer iTransformer "$@"
