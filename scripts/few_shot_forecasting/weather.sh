#!/bin/sh
# weather with a tenth of the training rows. No published figures are known here.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/weather.sh --llm_init random --percent 5
set -eu

exec sh "$(dirname -- "$0")/../long_term_forecasting/weather.sh" --percent 10 --learning_rate 0.0001 "$@"
