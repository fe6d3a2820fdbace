# Sourced by the scripts of classification: train, test and compare with MiniRocket.

. "$(dirname -- "$0")/../horizons.sh"
. scripts/model_first.sh

# usual MODEL: the settings that all data sets share; the learning rate is constant.
usual() {
    echo --patience 10 --cos 0 --lradj type2 --decay_fac 1
    case $1 in
        CALF | GPT4TS) echo --gpt_layers 6 --batch_size 64 --train_epochs 50 ;;
        *) echo --batch_size 16 --learning_rate 0.001 --train_epochs 30 ;;
    esac
}
