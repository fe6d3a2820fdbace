# Sourced by quickstart.sh and test.sh: makes .venv from a requirements file, once, and sets $python to its Python.
# Usage: requirements=FILE; . scripts/environment.sh   ($PYTHON chooses the interpreter, 3.11 or newer)

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

make_environment() {
    base=$(find_python) || return 1
    if [ ! -x .venv/bin/python ]; then
        echo "Making the environment .venv"
        "$base" -m venv .venv || {
            echo "$base cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
            return 1
        }
    fi
    stamp=.venv/$requirements.installed
    if ! cat requirements*.txt | cmp -s - "$stamp"; then
        echo "Installing $requirements (once; this is the long part)"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" || return 1
        cat requirements*.txt > "$stamp"
    fi
}

make_environment || exit 1
python=.venv/bin/python
