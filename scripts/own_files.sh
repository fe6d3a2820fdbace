#!/bin/sh
# Compares models on files as people keep them and prints a table for each: the ones under "Your own data" in README.md.
# usage: sh scripts/own_files.sh [rates|illness|energy|retail|flights|germany|walmart ...]
# The files are looked for in $CALF_DATASETS; those of the rates are made here. Flags of run.py go into $FLAGS.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
. scripts/environment.sh
choose_python
export OMP_NUM_THREADS=1
root=${CALF_DATASETS:-./datasets}
tiny="--llm gpt2-tiny --llm_init random"
full="--llm gpt2 --llm_init random --time_limit 4m"

# compared FILE WITHOUT WITH [FLAGS ...]: every model on one file, those that read columns known in advance with WITH.
compared() {
    name=$1 without=$2 with=$3
    shift 3
    echo
    echo "$name"
    "$python" -m scripts.compare_files --models \
        "Naive:$without" "SeasonalNaive:$without" "AutoTheta:$without" "AutoETS:$without" "MSTL:$without" \
        "DLinear:$without" "CALF:$tiny $with" "CALF:$full $with" "auto:$tiny $with" "ensemble:$tiny $with" \
        -- --do_predict 0 --time_limit 6m "$@" ${FLAGS:-}
}

# rates FILE: daily prices of four currencies, correlated random walks over 1,500 business days.
rates() {
    "$python" - "$1" <<'END'
import sys
import numpy as np
import pandas as pd

random = np.random.default_rng(2021)
steps = 0.005 * random.multivariate_normal(np.zeros(4), 0.4 * np.eye(4) + 0.6, size=1500)
table = pd.DataFrame(np.exp(steps.cumsum(axis=0)), columns=["AUD", "GBP", "CHF", "EUR"])
table.insert(0, "date", pd.bdate_range("2018-01-01", periods=1500))
table.to_csv(sys.argv[1], index=False)
END
}

for file in ${*:-rates illness energy retail flights germany walmart}; do
    case $file in
        rates)
            mkdir -p results && rates results/rates.csv
            compared rates "" "" --data_path results/rates.csv
            ;;
        illness) compared illness "" "" --data_path "$root/illness/national_illness.csv" ;;
        energy)
            compared energy "--ignore temperature,holiday" "--future_cols temperature,holiday" \
                --data_path "$root/drivers/energy_hourly.csv" --target load_mw
            ;;
        retail)
            compared retail "--ignore promo" "--future_cols promo" \
                --data_path "$root/drivers/retail_daily.csv" --target store_city --fill linear
            ;;
        flights) compared flights "" "" --data_path "$root/users/uk_daily_flights.csv" ;;
        germany) compared germany "" "" --data_path "$root/users/opsd_germany_daily.csv" --columns Consumption ;;
        walmart)
            compared walmart "" "" --data_path "$root/users/Walmart_Store_sales.csv" --columns Weekly_Sales
            ;;
        *)
            echo "error: $file: choose some of rates, illness, energy, retail, flights, germany, walmart." >&2
            exit 2
            ;;
    esac
done
