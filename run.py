"""Train, test and use forecasters from the command line. ``python run.py --help`` lists the flags."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from exp.config import Command, RunConfig, RuntimeOptions
from exp.flags import lines_of_idle_flags, parse
from utils.command import is_main_process, processes, run_command, typed
from utils.errors import UserError
from utils.flags import given_for

logger = logging.getLogger("calf")

Records = list[dict[str, Any]]


def run(argv: Sequence[str] | None) -> None:
    """Carry out what the command line asks for.

    Raises:
        UserError: something given cannot be used.
    """
    given = parse(argv)
    command = Command(**given_for(Command, given))
    if command.load and command.is_training:
        raise UserError("--load names a checkpoint to test: add --is_training 0, or leave it out to train.")
    if command.load:
        _use_checkpoint(command, given)
        return
    config = RunConfig.from_flags(given)
    _begin(config, command, given)
    if command.check_data:
        _report_on_data(config)
        return
    records: Records = []
    for seed in range(config.seed, config.seed + command.itr):
        records += run_seed(replace(config, seed=seed), command)
    _say_over_seeds(records, config.summary_file)


def _begin(config: RunConfig, command: Command, given: Mapping[str, Any]) -> None:
    """Say which flags have no effect, and refuse what asks for two things that exclude each other."""
    for line in lines_of_idle_flags(config, command, given):
        logger.info(line)
    series = hasattr(config.data, "features")
    if not series and (command.do_predict or command.check_data):
        flag = "--do_predict" if command.do_predict else "--check_data"
        raise UserError(
            f"{flag} is for one series in a file; a run on {config.data.data} forecasts what comes after its series "
            "anyway."
        )
    if command.do_predict and command.zero_shot:
        raise UserError(
            "--do_predict forecasts the series trained on; for another one leave out --zero_shot, and give "
            "--is_training 0 --load CHECKPOINT --data_path FILE."
        )
    steps = config.runtime.predict_len or 0
    if command.do_predict and config.data.features == "MS" and steps > config.data.pred_len and not command.load:
        raise UserError(
            f"--predict_len {steps}: with --features MS the model forecasts its target alone and cannot go beyond "
            f"--pred_len {config.data.pred_len}; train with a longer one."
        )


def _report_on_data(config: RunConfig) -> None:
    from data_provider.report import quality_report

    for line in quality_report(config.data):
        logger.info(line)


def _use_checkpoint(command: Command, given: Mapping[str, Any]) -> None:
    """Test a checkpoint, or forecast with it."""
    from exp.config import targets_of
    from exp.runs import load_trained
    from models.checkpoint import find_checkpoint

    folder = find_checkpoint(command.load)
    runtime = replace(RuntimeOptions(**given_for(RuntimeOptions, given)), targets=targets_of(command))
    config = load_trained(folder, runtime, given)
    _begin(config, command, given)
    if command.check_data:
        _report_on_data(config)
    else:
        _use_trained(folder, config, command)


def _use_trained(folder: Path, config: RunConfig, command: Command) -> Records:
    """Forecast the future from a checkpoint, or test it."""
    if command.do_predict and not command.dry_run:
        _forecast_future(folder, config)
        return []
    from exp.experiments import experiment_of

    return experiment_of(config)(config).test_stored(folder, command.dry_run)


def _forecast_future(folder: Path, config: RunConfig) -> None:
    from exp.predict import forecast_future

    if is_main_process():
        forecast_future(folder, config)


def run_seed(config: RunConfig, command: Command) -> Records:
    """Train and test with one seed, then forecast the future if asked; or use what was trained before."""
    from exp.runs import find_trained

    if not command.is_training:
        return _use_trained(*find_trained(config), command)
    records = _train_and_test(config, command)
    if command.do_predict and not command.dry_run:
        _forecast_future(config.checkpoint, config)
    return records


def _train_and_test(config: RunConfig, command: Command) -> Records:
    """Train and test; of a finished run nothing is repeated, and a trained one is only tested."""
    from exp.experiments import experiment_of
    from exp.resume import clear_state
    from exp.runs import finished, is_trained
    from utils.files import clear_after_kill
    from utils.results import run_figures, run_title

    kind = experiment_of(config)
    if not command.dry_run and is_main_process():
        clear_after_kill(config.checkpoint, config.results, config.pictures)
    if not (command.dry_run or command.overwrite):
        if records := finished(config):
            logger.info("%s is finished; --overwrite repeats it", config.setting)
            for record in records:
                logger.info("  %s, seed %d: %s", run_title(record), config.seed, run_figures(record))
            logger.info("  figures: %s", config.results)
            return records
        if is_trained(config):
            logger.info("%s is trained; --overwrite repeats it", config.setting)
            if is_main_process():
                clear_state(config.checkpoint)  # left by a kill just after the training's end
            return kind(config).test_stored(config.checkpoint)
    return kind(config).train_and_test(command.dry_run, command.overwrite)


def _say_over_seeds(records: Sequence[Mapping[str, Any]], summary_file: Path) -> None:
    """Say and keep mean and deviation for every data set that several seeds were tested on."""
    if len(records) < 2:
        return
    from utils.results import append_block, over_seeds

    for target in dict.fromkeys(record["data"].get("target_data") for record in records):
        same = [record for record in records if record["data"].get("target_data") == target]
        if len(same) > 1:
            lines = over_seeds(same)
            append_block(summary_file, lines)
            for line in lines:
                logger.info(line)


def _leave_processes() -> None:
    """Part from the other processes, if a launcher has started some and they have met."""
    torch = sys.modules.get("torch")
    if processes() > 1 and torch and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, 2 with one message when the input is wrong, or 130 and 143 when stopped."""

    def work() -> None:
        run(argv)
        _leave_processes()

    return run_command(work, typed("run.py", argv))


if __name__ == "__main__":
    sys.exit(main())
