#!/bin/sh
# ETTm1 with a tenth of the training rows. The paper's MSE/MAE: .468/.445, .479/.446, .499/.463, .572/.496.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTm1.sh --llm_init random --percent 5
set -eu

exec sh "$(dirname -- "$0")/../long_term_forecasting/ETTm1.sh" --percent 10 "$@"
