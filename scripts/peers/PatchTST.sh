#!/bin/sh
# PatchTST at 96 steps. Settings: the scripts of thuml/Time-Series-Library (4e938a1).
# Data sets come first, every one on disk if left out; extra flags go to run.py and win:
#   sh scripts/peers/PatchTST.sh ETTh1 ETTm1 --train_epochs 1
set -eu
. "$(dirname -- "$0")/common.sh"

settings() {
    of_library
    echo --d_model 512
    case $1,$2 in
        ETTh1,96) echo --e_layers 1 --n_heads 2 ;;
        ETTh1,720) echo --e_layers 1 --n_heads 16 ;;
        ETTh1,*) echo --e_layers 1 --n_heads 8 ;;
        ETTm1,96) echo --e_layers 1 --n_heads 2 ;;
        ETTm1,192) echo --e_layers 3 --n_heads 2 --batch_size 128 ;;
        ETTm1,336) echo --e_layers 1 --n_heads 4 --batch_size 128 ;;
        ETTm1,720) echo --e_layers 3 --n_heads 4 --batch_size 128 ;;
        ETTm2,96) echo --e_layers 3 --n_heads 16 ;;
        ETTm2,192) echo --e_layers 3 --n_heads 2 --batch_size 128 ;;
        ETTm2,336) echo --e_layers 1 --n_heads 4 ;;
        ETTm2,720) echo --e_layers 3 --n_heads 4 --batch_size 128 ;;
        weather,96) echo --e_layers 2 --n_heads 4 --train_epochs 3 ;;
        weather,192) echo --e_layers 2 --n_heads 16 --train_epochs 3 ;;
        weather,*) echo --e_layers 2 --n_heads 4 --train_epochs 3 --batch_size 128 ;;
        electricity,*) echo --e_layers 2 --n_heads 8 --batch_size 16 ;;
        traffic,*) echo --e_layers 2 --n_heads 8 --d_ff 512 --batch_size 4 ;;
        *) echo --e_layers 3 --n_heads 4 ;;
    esac
}

run_peer PatchTST "$@"
