#!/bin/sh
# ETTh2 with a tenth of the training rows. The paper's MSE/MAE: .314/.360, .404/.411, .458/.452, .502/.487.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTh2.sh --llm_init random --percent 5
set -eu

exec sh "$(dirname -- "$0")/../long_term_forecasting/ETTh2.sh" --percent 10 "$@"
