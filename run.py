"""Train, test and use forecasters from the command line. ``python run.py --help`` lists the flags."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from data_provider.config import SEARCH
from data_provider.datasets import find_dataset
from exp.config import MOST_SEED, RunConfig
from exp.experiments import TASKS, experiment_of
from exp.flags import lines_of_idle_flags, parse
from exp.options import Command, RuntimeOptions, check_limits, check_steps
from utils.command import is_main_process, processes, run_command, typed
from utils.errors import UserError
from utils.flags import given_for

logger = logging.getLogger("calf")

Records = list[dict[str, Any]]


def run(argv: Sequence[str] | None) -> None:
    """Carry out what the command line asks for; raise UserError where something given cannot be used."""
    given = parse(argv)

    from exp.own_file import filled_in, take_search, with_stdin  # late: --help answers at once

    given, lines = with_stdin(given)
    given, searches = take_search(given)
    command = Command(**given_for(Command, given))
    if command.load and command.is_training and not command.uses:
        raise UserError("--load names a checkpoint to test: add --is_training 0, or leave it out to train.")
    if command.load:
        command = replace(command, is_training=0)
        from exp.latest import real_folder
        from exp.runs import config_to_test
        from models.checkpoint import find_checkpoint

        folder = real_folder(find_checkpoint(command.load))
        config = config_to_test(folder, RuntimeOptions(**given_for(RuntimeOptions, given)), given)
    else:
        _check_uses(given.get("task_name", RunConfig.task_name), command)  # before it reads the file of another task
        filled, chosen = filled_in(given)
        lines += chosen
        command = Command(**given_for(Command, filled))
        config = RunConfig.from_flags(filled)
    config = replace(config, runtime=replace(config.runtime, goes_on=bool(command.do_predict)))
    for line in lines:
        logger.info(line)
    for line in lines_of_idle_flags(config, command, given):
        logger.info(line)
    _check_purpose(config, command)
    if command.check_data:
        for line in _report(config):
            logger.info(line)
    elif command.load:
        _use_trained(folder, config, command)
    else:
        if searches and not command.is_training:
            raise UserError(f"--is_training 0 --seq_len {SEARCH}: name the chosen checkpoint with --load.")
        seeds = range(config.seed, config.seed + command.itr)
        runs = [replace(config, seed=seed, data=data) for data in config.data.variants for seed in seeds]
        if searches and command.seed_average:
            raise UserError(
                f"--seq_len {SEARCH} --seed_average: seeds may look back differently; choose one of the two."
            )
        once = run_searched if searches else run_seed
        records = [record for one in runs for record in once(one, command)]
        _say_over_runs(records, config.summary_file)
        if command.seed_average:
            for data in config.data.variants:
                averaged = replace(config.training, averaged=command.itr)
                run_seed(replace(config, data=data, training=averaged), command)


def _report(config: RunConfig) -> list[str]:
    """Return the lines of ``--check_data``."""
    if config.holds_many:
        from data_provider.many import report_on_many

        return report_on_many(config.data)
    from data_provider.factory import quality_report

    return [line for part in config.data.parts for line in quality_report(part, config.check_channels)]


def _check_purpose(config: RunConfig, command: Command) -> None:
    """Raise UserError for flags that exclude each other."""
    data, last = config.data, config.seed + command.itr - 1
    if last > MOST_SEED:
        raise UserError(f"--seed {config.seed} --itr {command.itr}: the last seed, {last}, is above {MOST_SEED}.")
    if command.seed_average and (command.itr == 1 or not config.model_config.trains or config.model_config.chooses):
        what = "--itr 1" if command.itr == 1 else f"--model {config.model}"
        raise UserError(f"--seed_average is for several seeds of a model that trains, not for {what}: leave it out.")
    check_limits(config.runtime.minimum, config.runtime.maximum)
    task = TASKS[config.task_name]
    _check_uses(config.task_name, command)
    if command.check_data and not task.reports:
        raise UserError(f"--check_data is for series in a CSV file, not for --data {data.data}; leave it out.")
    if command.check_data and any(find_dataset(part.data).made for part in data.parts):
        raise UserError("--check_data needs a file: --data_path FILE, or --data and the name of a data set.")
    if command.do_predict and config.sets:
        raise UserError(f"--do_predict forecasts one series, and --data {data.data} names several: leave it out.")
    if command.do_predict and config.runtime.zero_shot:
        raise UserError(
            "--do_predict forecasts the series trained on; for another one leave out --zero_shot, and give "
            "--is_training 0 --load CHECKPOINT --data_path FILE."
        )
    if command.uses and config.runtime.output:
        from exp.forecast_files import check_output

        check_output(config, command)
    if command.do_predict:
        steps = config.runtime.predict_len or data.pred_len
        check_steps(steps, data.pred_len, data.features)
        if data.future_cols and command.is_training:
            from data_provider.known import check_future

            check_future(data, max(steps, data.pred_len), config.runtime.future_path)


def _check_uses(task_name: str, command: Command) -> None:
    """Raise UserError where a trained model is to do what models of another task do."""
    for flag in command.uses - TASKS[task_name].uses.keys():
        fitting = " or ".join(name for name, other in TASKS.items() if flag in other.uses)
        raise UserError(
            f"--{flag} is for --task_name {fitting}, not for {task_name}; leave it out, or name a checkpoint of that "
            "task with --load."
        )


def run_searched(config: RunConfig, command: Command) -> Records:
    """Choose the look-back of a seed on validation, then go on as with any run; what is trained is not repeated."""
    from exp.look_back import with_best_look_back

    chosen = with_best_look_back(config, command.dry_run, command.overwrite)
    return [] if command.dry_run else run_seed(chosen, replace(command, overwrite=False))


def run_seed(config: RunConfig, command: Command) -> Records:
    """Train and test with one seed, then forecast the future if asked; or use what was trained before."""
    from exp.runs import find_trained

    if not command.is_training:
        return _use_trained(*find_trained(config), command)
    from exp.train_and_test import train_and_test

    records = train_and_test(config, command.dry_run, command.overwrite)
    _use(config.checkpoint, config, command)
    _leave_track(config, command, config.checkpoint)
    return records


def _use_trained(folder: Path, config: RunConfig, command: Command) -> Records:
    """Do with a checkpoint what is asked for, or test it."""
    records: Records = []
    if not _use(folder, config, command):
        from exp.refit import carry_over

        records = experiment_of(config).test_stored(folder, command.dry_run)
        if not command.dry_run:
            carry_over(folder)
    _leave_track(config, command, folder)
    return records


def _leave_track(config: RunConfig, command: Command, folder: Path) -> None:
    """Leave what repeats a run beside its figures, and point to it as the newest one."""
    from exp.latest import point_to
    from exp.run_file import save_flags

    if is_main_process() and not command.dry_run:
        save_flags(config, command, folder)
        point_to(config, trained=bool(command.is_training))


def _use(folder: Path, config: RunConfig, command: Command) -> bool:
    """Use the model of a checkpoint on the file as asked for; return whether that was asked for."""
    wanted = command.uses if not command.dry_run else frozenset()
    for flag in wanted:
        resolve_name(TASKS[config.task_name].uses[flag])(folder, config, command)
    return bool(wanted)


def _say_over_runs(records: Sequence[Mapping[str, Any]], summary_file: Path) -> None:
    """Say and keep mean and deviation for all that several seeds were tested on, and a table of several variants."""
    from utils.results import append_block, over_seeds, over_variants

    by_target: dict[tuple[str | None, ...], Records] = {}
    for record in records:
        key = (record["data"].get("target_data"), record["data"].get("variant"))
        by_target.setdefault(key, []).append(record)
    blocks = [over_seeds(tested) for tested in by_target.values() if len(tested) > 1]
    if len({variant for _, variant in by_target}) > 1:
        blocks.append(over_variants(records))
    for lines in blocks:
        append_block(summary_file, lines)
        for line in lines:
            logger.info(line)


def main(argv: Sequence[str] | None = None) -> int:
    """Return exit code 0, 2 with one message when the input is wrong, or 130 and 143 when stopped."""

    def work() -> None:
        run(argv)
        torch = sys.modules.get("torch")
        if processes() > 1 and torch and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    return run_command(work, typed("run.py", argv))


if __name__ == "__main__":
    sys.exit(main())
