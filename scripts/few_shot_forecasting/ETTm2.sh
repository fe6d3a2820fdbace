#!/bin/sh
# ETTm2 with a tenth of the training rows. The paper's MSE/MAE: .190/.268, .257/.311, .323/.334, .441/.410.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTm2.sh --llm_init random --percent 5
set -eu

exec sh "$(dirname -- "$0")/../long_term_forecasting/ETTm2.sh" --percent 10 "$@"
