# Sourced by the other scripts, from the repository's root: finds or makes the Python they run, and sets $python.

supported() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Whoever sets $PYTHON means it: one that cannot be used ends the script.
check_choice() {
    [ -z "${PYTHON:-}" ] || supported "$PYTHON" || {
        echo "PYTHON=$PYTHON does not run or is older than 3.11: unset PYTHON, or give it the full path of another" >&2
        return 1
    }
}

# $PYTHON, or else the first interpreter of 3.11 or newer.
find_python() {
    for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python; do
        if supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python" >&2
    return 1
}

# Whether an interpreter has what requirements.txt names, in the versions it names.
has_packages() {
    "$1" - 2>/dev/null <<'END'
import sys
from importlib.metadata import version
from packaging.requirements import Requirement  # every environment with transformers has it

wanted = [Requirement(line.strip()) for line in open("requirements.txt") if line[:1] not in "#\n"]
sys.exit(not all(version(one.name) in one.specifier for one in wanted))
END
}

# make_environment FILE: .venv with the packages of a requirements file, installed once.
make_environment() {
    check_choice || return 1
    python=.venv/bin/python
    stamp=.venv/$1.installed
    # An interpreter without pip is what an interruption leaves, or a Debian without python3-venv.
    if ! supported "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then
        base=$(find_python) || return 1
        echo "Making the environment .venv with $base"
        "$base" -m venv --clear .venv || {
            rm -rf .venv
            echo "$base cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
            return 1
        }
    elif [ -n "${PYTHON:-}" ]; then
        echo "Using .venv as it is; delete it to have it made with $PYTHON"
    fi
    if ! cat requirements*.txt | cmp -s - "$stamp"; then
        echo "Installing $1 into .venv, once (PyTorch is large: README.md says how to get the small CPU build)"
        "$python" -m pip install --quiet --disable-pip-version-check -r "$1" || {
            echo "Not installed, for the reason above; run the script again to go on, or delete .venv to begin anew" >&2
            return 1
        }
        cat requirements*.txt > "$stamp"
    fi
}

# choose_python: $PYTHON if set, else an active environment that has the packages, else .venv.
choose_python() {
    check_choice || return 1
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
    elif supported python && has_packages python; then
        python=python
    else
        make_environment requirements.txt
    fi
}
