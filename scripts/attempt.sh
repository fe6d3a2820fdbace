# Sourced by the other scripts, from the repository's root.

# attempt COMMAND …: a command that fails ends the script. If $FAILURES names a file, the failure becomes a line of it
# instead, and the script goes on. Whoever stops a command (Ctrl-C, kill) means the script as well.
attempt() {
    code=0
    "$@" || code=$?
    case $code in
        0) ;;
        130 | 143) exit "$code" ;;
        *)
            [ -n "${FAILURES:-}" ] || exit "$code"
            echo "exit code $code: $*" >> "$FAILURES"
            ;;
    esac
}
