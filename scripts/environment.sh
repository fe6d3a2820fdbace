# Sourced by the other scripts, from the repository's root: finds or makes the Python they run.

# The first interpreter of 3.11 or newer; $PYTHON, if set, comes first.
find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python" >&2
    return 1
}

# make_environment FILE: .venv with the packages of a requirements file, installed once; sets $python.
make_environment() {
    if [ ! -x .venv/bin/python ]; then
        base=$(find_python) || return 1
        echo "Making the environment .venv"
        "$base" -m venv .venv || {
            echo "$base cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
            return 1
        }
    fi
    stamp=.venv/$1.installed
    if ! cat requirements*.txt | cmp -s - "$stamp"; then
        echo "Installing $1 (once; this is the long part)"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1" || return 1
        cat requirements*.txt > "$stamp"
    fi
    python=.venv/bin/python
}

# choose_python: $PYTHON if set, else an active environment that has the packages, else .venv; sets $python.
choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
    elif [ ! -d .venv ] && python -c 'import torch, transformers, peft, pandas, sklearn' 2>/dev/null; then
        python=python
    else
        make_environment requirements.txt
    fi
}
