#!/bin/sh
# Makes .venv and runs linter and tests on the CPU, without network. Extra arguments go to pytest.
# Tests on real data look for them in $CALF_DATASETS (./datasets) and $CALF_GOLDEN, and say so when they skip.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."

. scripts/environment.sh
make_environment requirements-test.txt

"$python" -m ruff check .
"$python" -m ruff format --check .
# Two processes of one thread each: the networks of the tests are too small to share among threads.
CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
