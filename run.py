"""Train, test and compare CALF from the command line. ``python run.py --help`` lists the flags."""

import argparse
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from exp.flags import idle_flags, parse
from utils.device import is_main_process, processes
from utils.errors import Terminated, UserError, give_up

if TYPE_CHECKING:
    from exp.config import RunConfig

logger = logging.getLogger("calf")


def run(args: argparse.Namespace, given: set[str]) -> None:
    """Carry out what the command line asks for.

    Raises:
        UserError: something given cannot be used.
    """
    # Imported late, so that --help and wrong flags answer at once, and a forecast waits for nothing it does not need.
    from exp.config import RunConfig, Surroundings
    from exp.stored import load_trained, trained_config
    from models.checkpoints import find_checkpoint
    from models.config import TASKS

    if args.task_name not in TASKS:
        raise UserError(f"--task_name {args.task_name}: no such task; choose one of {', '.join(TASKS)}.")
    for line in idle_flags(args, given):
        logger.info(line)
    if "load" in given and not args.load:
        raise UserError("--load is empty; it names the folder of a checkpoint.")
    if args.load and args.is_training:
        raise UserError("--load names a checkpoint to test: add --is_training 0, or leave it out to train.")
    folder = find_checkpoint(args.load) if args.load else None
    if folder and "data" not in given:
        trained = trained_config(folder, Surroundings())
        if trained.data.data == "m4":  # its flags mean something else than those of other data
            args.data, args.task_name = trained.data.data, trained.task_name
    _check_purpose(args)
    first = RunConfig.from_args(args)
    if args.check_data:
        _report_on_data(first)
    elif folder:
        _use_trained(folder, load_trained(folder, first, given), args)
    else:
        records = []
        for seed in range(args.seed, args.seed + args.itr):
            records += run_seed(replace(first, seed=seed), args)
        _say_over_seeds(records)


def _check_purpose(args: argparse.Namespace) -> None:
    """Refuse what asks for two things that exclude each other."""
    if args.data == "m4" and (args.do_predict or args.check_data):
        flag = "--do_predict" if args.do_predict else "--check_data"
        raise UserError(f"{flag} is for series in a CSV file; an M4 run forecasts what comes after its series anyway.")
    if args.do_predict and args.zero_shot:
        raise UserError(
            "--do_predict forecasts the series trained on; for another one leave out --zero_shot, and give "
            "--is_training 0 --load CHECKPOINT --data_path FILE."
        )
    if args.do_predict and args.features == "MS" and (args.predict_len or 0) > args.pred_len and not args.load:
        raise UserError(
            f"--predict_len {args.predict_len}: with --features MS the network forecasts its target alone and cannot "
            f"go beyond --pred_len {args.pred_len}; train with a longer one."
        )
    if args.check_data and args.data == "sample":
        raise UserError("--check_data needs a file: --data_path FILE, or --data and the name of a data set.")


def _report_on_data(config: "RunConfig") -> None:
    from data_provider.report import quality_report

    for line in quality_report(config.data):
        logger.info(line)


def _use_trained(folder: Path, trained: "RunConfig", args: argparse.Namespace) -> list[dict[str, Any]]:
    """Forecast the future from a checkpoint, or test it."""
    if args.do_predict and not args.dry_run:
        _forecast_future(folder, trained)
        return []
    from exp.experiments import experiment_of

    return experiment_of(trained)(trained).test_stored(folder, args.dry_run)


def _forecast_future(folder: Path, config: "RunConfig") -> None:
    from exp.future import forecast_future

    if is_main_process():
        forecast_future(folder, config)


def run_seed(config: "RunConfig", args: argparse.Namespace) -> list[dict[str, Any]]:
    """One seed of a run: train and test, then forecast the future if asked; or use what was trained before."""
    from exp.stored import find_trained

    if not args.is_training:
        return _use_trained(*find_trained(config), args)
    records = _train_and_test(config, args)
    if args.do_predict and not args.dry_run:
        _forecast_future(config.checkpoint, config)
    return records


def _train_and_test(config: "RunConfig", args: argparse.Namespace) -> list[dict[str, Any]]:
    """Of a finished run nothing is repeated, and one that was trained already is only tested."""
    from exp.experiments import experiment_of
    from exp.resume import clear_state
    from exp.stored import finished, is_trained
    from utils.files import clear_after_kill
    from utils.results import run_figures, run_title

    kind = experiment_of(config)
    if not args.dry_run and is_main_process():
        clear_after_kill(config.checkpoint, config.results, config.pictures)
    if not (args.dry_run or args.overwrite):
        if records := finished(config):
            logger.info("%s is finished; --overwrite repeats it", config.setting)
            for record, path in zip(records, config.outcomes, strict=True):
                logger.info("  %s, seed %d: %s (%s)", run_title(record), record["seed"], run_figures(record), path)
            return records
        if is_trained(config):
            logger.info("%s is trained; --overwrite repeats it", config.setting)
            if is_main_process():
                clear_state(config.checkpoint)  # left by a kill just after the training's end
            return kind(config).test_stored(config.checkpoint)
    return kind(config).train_and_test(args.dry_run, args.overwrite)


def _say_over_seeds(records: Sequence[Mapping[str, Any]]) -> None:
    """Mean and deviation for every data set that several seeds were tested on."""
    from utils.results import append_block, over_seeds

    for target in dict.fromkeys(record.get("target_data") for record in records):
        same = [record for record in records if record.get("target_data") == target]
        if len(same) > 1:
            lines = over_seeds(same)
            append_block(Path(f"results_{same[0]['task_name']}.txt"), lines)
            for line in lines:
                logger.info(line)


@contextmanager
def _stopping_at_sigterm() -> Iterator[None]:
    """Whoever ends the process, a scheduler say, ends it as Ctrl-C does: with all files whole."""

    def stop(number: int, frame: object) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stopped(stop: KeyboardInterrupt, argv: Sequence[str] | None) -> int:
    """Say what is saved and how to go on."""
    by, code = ("by SIGTERM", 143) if isinstance(stop, Terminated) else ("by hand", 130)
    notes = getattr(stop, "__notes__", ["All files are whole; the same command repeats what was not finished:"])
    command = shlex.join(["python", "run.py", *(sys.argv[1:] if argv is None else argv)])
    if processes() > 1:
        command = f"the launcher's with {command.removeprefix('python ')}"
    return give_up("\n".join([f"stopped {by}.", *notes, f"  {command}"]), code) if is_main_process() else code


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 with one message when the input is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.raiseExceptions = False  # a reader that has heard enough, like head, is no error
    for name in ("calf", "exp", "utils", "data_provider", "models", "layers"):
        logging.getLogger(name).setLevel(logging.INFO if is_main_process() else logging.WARNING)
    args, given = parse(argv)
    try:
        with _stopping_at_sigterm():
            run(args, given)
    except UserError as error:
        return give_up(str(error), 2)
    except OSError as error:  # a full disk, a read-only folder
        return give_up(f"{error.filename or 'a file'}: {error.strerror or error}; what was there before is whole.", 2)
    except ModuleNotFoundError as error:
        if error.name in sys.modules or (Path(__file__).parent / error.name.split(".")[0]).exists():
            raise  # a part of the project, not of its environment
        wanted = f"this Python ({sys.executable}) lacks {error.name}"
        return give_up(f"{wanted}: python -m pip install -r requirements.txt, or use the scripts.", 2)
    except KeyboardInterrupt as stop:
        return _stopped(stop, argv)
    _leave_processes()
    return 0


def _leave_processes() -> None:
    """Part from the other processes, if a launcher has started some and they have met."""
    torch = sys.modules.get("torch")
    if processes() > 1 and torch and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
