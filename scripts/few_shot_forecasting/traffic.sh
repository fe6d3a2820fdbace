#!/bin/sh
# traffic with a tenth of the training rows. No published figures are known here.
# Extra flags go to run.py and win: sh scripts/few_shot_forecasting/traffic.sh --llm_init random --percent 5
set -eu

exec sh "$(dirname -- "$0")/../long_term_forecasting/traffic.sh" --percent 10 "$@"
