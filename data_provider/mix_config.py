"""Describe which data sets are trained on together. Light: ``--help`` reads it without PyTorch."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from data_provider.config import DataConfig, names_in
from data_provider.datasets import DATASETS, datasets_root, find_dataset
from utils.errors import UserError
from utils.flags import choice, flag, from_json

MIXES = ("proportional", "uniform")


@dataclass(frozen=True)
class MixConfig(DataConfig):
    """Several data sets, in one form of windows; ``data`` and ``data_path`` name them with commas between."""

    mix: str = flag(
        "proportional", choice(*MIXES),
        "of several data sets: each in proportion to its windows, or all with as many batches",
    )  # fmt: skip

    def __post_init__(self) -> None:
        _ = self.parts

    @cached_property
    def parts(self) -> tuple[DataConfig, ...]:
        """Return the configuration of each data set.

        Raises:
            UserError: a data set is unknown, of another task or named twice, or there are not as many files as names.
        """
        names, files = names_in(self.data), names_in(self.data_path) or [None] * len(names_in(self.data))
        if len(files) != len(names):
            raise UserError(
                f"--data names {len(names)} data sets and --data_path {len(files)} file(s); give one file for each, "
                "with commas between, none where it is the data set's own: mine.csv,,"
            )
        common = {one.name: getattr(self, one.name) for one in fields(DataConfig)}
        own = any(name in DATASETS and find_dataset(name).named_by_user for name in names)
        parts, places = [], set()
        for name, file in zip(names, files, strict=True):
            if name == "" or find_dataset(name).config != find_dataset(DataConfig.data).config:
                raise UserError(f"--data {self.data}: {name or 'an empty name'} cannot be trained on with others.")
            root = self.root_path and self._root(name, file or None)
            spec = find_dataset(name)
            if spec.made and file:
                raise UserError(f"--data {self.data}: {name} has no file; leave {file} out of --data_path.")
            # Beside an own file the flags of reading are about that one.
            reading = DataConfig.usual_reading() if own and not spec.named_by_user else {}
            part = DataConfig(**common | {"data": name, "data_path": file or None, "root_path": root} | reading)
            folder = root or (datasets_root() / spec.folder if spec.folder else "")
            place = Path(folder, file or spec.file or name).resolve()
            if place in places:
                raise UserError(f"--data {self.data}: {name} is named twice with the same file.")
            places.add(place)
            parts.append(part)
        return tuple(parts)

    def _root(self, name: str, file: str | None) -> str:
        """Return ``--root_path`` where the file lies in it, else the data set's own folder below it."""
        spec, root = find_dataset(name), Path(self.root_path)
        inside = spec.folder is None or (root / (file or spec.file)).exists()
        return str(root if inside else root / spec.folder)

    @property
    def slug(self) -> str:
        return f"{super().slug}{'' if self.mix == MIXES[0] else f'_{self.mix}'}"

    def files(self) -> tuple[Path, ...]:
        found = tuple(path for part in self.parts for path in part.files())
        if odd := [path for path in found if "," in str(path)]:
            raise UserError(f"{odd[0]}: with several data sets no path can have a comma in it.")
        return found

    def identity(self) -> dict[str, Any]:
        content = asdict(self)
        del content["root_path"], content["data_path"]
        self.files()
        return {**content, "files": [part.identity()["file"] for part in self.parts]}

    @classmethod
    def from_identity(cls, identity: dict[str, Any]) -> Self:
        content = {"root_path": None, **identity}
        files = content.pop("files", None)
        if not isinstance(files, list) or not all(isinstance(file, str | None) for file in files):
            raise UserError("it does not name the files of its data sets")
        return from_json(cls, {**content, "data_path": ",".join(file or "" for file in files) or None})
