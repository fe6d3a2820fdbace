# Sourced by the scripts that run many experiments, from the repository's root: reading their flags, and how they end.

refuse() {
    echo "error: $1" >&2
    exit 2
}

# has LIST WORD
has() {
    case " $1 " in
        *" $2 "*) return 0 ;;
    esac
    return 1
}

# chosen FLAG VALUE CHOICES: the words of a value with commas, each of which must be one of the choices.
chosen() {
    set -f
    words=$(printf '%s\n' "$2" | tr , ' ')
    for word in ${words:-""}; do
        has "$3" "$word" || refuse "$1 $2: choose some of $(echo "$3" | sed 's/ /, /g'), with commas between."
    done
    echo "$words"
}

# scripts_of FOLDER: the names that there is a script for.
scripts_of() {
    for script in scripts/"$1"/*.sh; do
        [ ! -x "$script" ] || basename "$script" .sh
    done
}

# count_of FLAG VALUE: a number of seeds.
count_of() {
    case $2 in
        '' | 0* | *[!0-9]* | ????*) refuse "$1 $2: choose 1 to 999." ;;
    esac
    echo "$2"
}

# seeds_of COUNT: so many seeds, from 2021 on.
seeds_of() {
    seq -s ' ' 2021 $((2020 + $1))
}

# end_of_runs: trapped on exit.
end_of_runs() {
    code=$?
    rm -f "$FAILURES"
    case $code in
        130 | 143) echo "Stopped; the same command goes on from here." >&2 ;;
    esac
}

# list_failures: print the lines of $FAILURES; fail if there are any.
list_failures() {
    [ -s "$FAILURES" ] || return 0
    echo "Failed:"
    sed 's/^/  /' "$FAILURES"
    return 1
}
