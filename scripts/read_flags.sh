# Sourced by the scripts that run many experiments, after choices.sh: sorts their flags from those of run.py, which are
# "$@" afterwards, in their order. The script defines $script, its own path; $own_flags; and take FLAG VALUE, which keeps
# the value of one of these.
unread=$#
while [ "$unread" -gt 0 ]; do
    flag=$1
    shift
    unread=$((unread - 1))
    case $flag in
        --seed | --seed=* | --itr | --itr=*) refuse "${flag%%=*}: the seeds are 2021 and on, --seeds says how many." ;;
        -h | --help)
            sed -n '2,/^set/s/^# \{0,1\}//p' "$script"
            exit 0
            ;;
    esac
    if ! has "$own_flags" "${flag%%=*}"; then
        set -- "$@" "$flag" # behind what is unread
        continue
    fi
    case $flag in
        *=*) value=${flag#*=} ;;
        *)
            [ "$unread" -gt 0 ] || refuse "$flag needs a value."
            value=$1
            shift
            unread=$((unread - 1))
            ;;
    esac
    take "${flag%%=*}" "$value"
done
