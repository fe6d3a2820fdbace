"""Name the data sets of a test, zero-shot or of several: from the flags of the command line to folders of results."""

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from data_provider.config import AnyDataConfig, DataConfig, names_in
from data_provider.datasets import DATASETS, find_dataset
from exp.options import RuntimeOptions
from utils.errors import UserError, shown_path


def target_configs(source: DataConfig, runtime: RuntimeOptions) -> dict[str, DataConfig]:
    """Return the configurations of a zero-shot test by name, windowed like the data trained on; none for another run.

    Raises:
        UserError: the flags that name targets contradict each other, or a target is unknown, of another kind than the
            source or without a file.
    """
    if not (named := _named_targets(runtime)):
        return {}
    parts, source = source.parts, source.parts[0]
    kind = find_dataset(source.data).config
    fitting = [name for name, spec in DATASETS.items() if spec.config == kind]
    found: dict[str, DataConfig] = {}
    for name, file in named:
        if name not in fitting:
            wanted = f"no such data set; choose one of {', '.join(fitting)}"
            raise UserError(f"zero-shot target: --target_data {name}: {wanted}.")
        # The release expects targets in the source's folder.
        spec, folder = find_dataset(name), source.root_path
        beside = folder and (Path(folder) / (file or spec.file or "")).is_file()
        root = runtime.target_root_path or (folder if beside else None)
        published = {} if spec.named_by_user else DataConfig.usual_reading()
        config = replace(source, data=name, root_path=root, data_path=file, percent=100, freq=None, **published)
        if config in found.values():
            raise UserError(f"--target_data names {name} twice with the same file.")
        try:
            if len(parts) > 1 and any(config.files() == part.files() != () for part in parts):
                raise UserError(f"--data names {name} too: it is tested without being named here; leave it out.")
            found[_name(config)] = config
        except UserError as error:
            raise of_target(error) from error
    return found


def names_of_sets(mix: DataConfig) -> dict[str, DataConfig]:
    """Return the configurations of data sets that are trained on together, by name."""
    names = [part.data for part in mix.parts]
    plain = {name for name in names if names.count(name) == 1 and not find_dataset(name).named_by_user}
    return {part.data if part.data in plain else _name(part): part for part in mix.parts}


def with_targets(runtime: RuntimeOptions, data: str) -> RuntimeOptions:
    """Return the options of a run: after training on several data sets, ``--target_data`` alone asks for tests."""
    return replace(runtime, zero_shot=1) if runtime.target_data and "," in data else runtime


def in_domain_folder(results: Path, data: str) -> Path:
    """Return where the figures of one of several data sets trained on lie, below the results of the run."""
    return results / f"in_domain_{data}"


def zero_shot_folder(results: Path, target: str) -> Path:
    """Return where a target's figures lie, below the results of the run that trained."""
    return results / f"zero_shot_{target}"


def shuffle_folder(results: Path, shuffle: str) -> Path:
    """Return where the figures on shuffled windows lie, below the results of the run that trained."""
    return results if shuffle == "none" else results / f"shuffle_{shuffle.replace(':', '-')}"


def of_target(error: UserError) -> UserError:
    """Return an error about a target in terms of the flags that name targets."""
    message = re.sub(r"--(data|root_path|data_path)\b(?!_)", r"--target_\1", str(error))
    return UserError(f"zero-shot target: {message}")


def name_of_file(data: AnyDataConfig) -> str:
    """Return a data set's first file as part of a name: the file's own name, and a hash of where it lies."""
    path = next(iter(data.files()), Path("sample"))
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', shown_path(path.stem))[:30]}_{digest}"


def _named_targets(runtime: RuntimeOptions) -> list[tuple[str, str | None]]:
    """Return name and file of each target that the flags name."""
    if not runtime.zero_shot:
        return []
    names = names_in(runtime.target_data)
    files = names_in(runtime.target_data_path) or [None] * len(names)
    if not names or not all(names):
        raise UserError("--zero_shot 1 needs --target_data: the data set to test on, or several with commas between.")
    if len(files) != len(names):
        raise UserError(
            f"--target_data names {len(names)} data set(s) and --target_data_path {len(files)} file(s); "
            "give one file for each, with commas between."
        )
    return list(zip(names, files, strict=True))


def _name(data: DataConfig) -> str:
    """Return a data set's part of a folder's name: its own name, of an own file also the file's."""
    spec = find_dataset(data.data)
    if data.data_path is None and (spec.file or spec.made):
        return data.data
    return f"{data.data}-{name_of_file(data)}"
