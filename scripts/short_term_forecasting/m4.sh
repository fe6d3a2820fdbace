#!/bin/sh
# M4 at the published settings. The paper's sMAPE/MASE/OWA: Yearly 13.314/3.009/.786, Quarterly 10.049/1.166/.882,
# Monthly 12.624/.922/.871, Others (Weekly, Daily, Hourly) 4.773/3.119/.990, Average 11.770/1.570/.845.
# Some frequencies alone: PATTERNS="Weekly Hourly" sh scripts/short_term_forecasting/m4.sh
# Extra flags go to run.py and win: sh scripts/short_term_forecasting/m4.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../competitions.sh"
. scripts/m4_patterns.sh

for pattern in ${PATTERNS:-$m4_patterns}; do
    one_pattern m4 "$pattern" "$@"
done
