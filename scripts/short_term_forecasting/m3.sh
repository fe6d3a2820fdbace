#!/bin/sh
# M3 at the settings that the paper has for M4; the paper has no figures of M3. sMAPE that the competition published, of
# Naive2 and of Theta, its best: Yearly 17.88/16.90, Quarterly 9.95/8.96, Monthly 16.91/13.85, Other 6.30/4.41,
# Average 15.47/13.01. The files Yearly-train.csv, Yearly-test.csv, … lie in ./datasets/m3, in the format of M4's.
# Some frequencies alone: PATTERNS="Yearly Other" sh scripts/short_term_forecasting/m3.sh
# Extra flags go to run.py and win: sh scripts/short_term_forecasting/m3.sh --llm_init random --train_epochs 1
set -eu
. "$(dirname -- "$0")/../competitions.sh"

for pattern in ${PATTERNS:-Yearly Quarterly Monthly Other}; do
    one_pattern m3 "$pattern" "$@"
done
