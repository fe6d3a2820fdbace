#!/bin/sh
# ETTh1 with a tenth of the training rows. The paper's MSE/MAE: .468/.457, .550/.501, .581/.521, .978/.685.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/ETTh1.sh --llm_init random --percent 5
set -eu

exec sh "$(dirname -- "$0")/../long_term_forecasting/ETTh1.sh" --percent 10 "$@"
