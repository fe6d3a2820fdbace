"""Describe which labelled cases a run classifies, as checked values. Nothing here reads a file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from data_provider.datasets import DATASETS, UEA, datasets_root, find_dataset
from utils.errors import UserError, shown_path
from utils.flags import PATH, choice, flag, from_json, real, row_of

TRAIN, TEST = "_TRAIN.ts", "_TEST.ts"  # how the names of a pair of files end
MOST_LISTED = 5


@dataclass(frozen=True)
class ClassificationConfig:
    """A pair of ``.ts`` files, NAME_TRAIN.ts and NAME_TEST.ts, and how the best epoch is chosen.

    The lengths of windows follow from the files.
    """

    data: str = flag("JapaneseVowels", row_of(DATASETS), "the data set; custom is a pair of files of your own")
    classification_protocol: str = flag(
        "holdout", choice("holdout", "release"),
        "holdout chooses the best epoch on a share of TRAIN; release, as the authors' code, on TEST, which is "
        "standardised by itself and numbers its classes by itself",
    )  # fmt: skip
    validation_share: float = flag(
        0.2, real("a number between 0 and 1", lambda x: 0 < x < 1),
        "share of TRAIN, of each class alike, that chooses the best epoch",
        needs={"classification_protocol": ("holdout",)},
    )  # fmt: skip
    root_path: str | None = flag(None, PATH, "folder of the two files; the data set's own below $CALF_DATASETS")
    data_path: str | None = flag(None, PATH, "NAME_TRAIN.ts, which NAME_TEST.ts lies beside; or a file to classify")

    seq_len: ClassVar[int] = 1
    pred_len: ClassVar[int] = 1
    known_flags: ClassVar[tuple[str, ...]] = ()
    of_the_file: ClassVar[frozenset[str]] = frozenset({"root_path", "data_path"})

    def __post_init__(self) -> None:
        spec = find_dataset(self.data)
        if spec.config != UEA and not spec.named_by_user:
            names = ", ".join(name for name, one in DATASETS.items() if one.config == UEA)
            raise UserError(f"--data {self.data} has no classes; --task_name classification takes {names}, or custom.")

    @property
    def selects_on_test(self) -> bool:
        """Return whether the best epoch is chosen on the test file."""
        return self.classification_protocol == "release"

    @property
    def parts(self) -> tuple[Self, ...]:
        """Return the configuration of each data set: one."""
        return (self,)

    @property
    def variants(self) -> tuple[Self, ...]:
        """Return the configuration of each run: one."""
        return (self,)

    @property
    def variant(self) -> str:
        """Return what tells a run from the others of one command: nothing."""
        return ""

    @property
    def slug(self) -> str:
        """Return what the data are in the name of a run."""
        return f"{self.data}{'_selected-on-test' if self.selects_on_test else ''}"

    @property
    def folder(self) -> Path:
        """Return the folder of the files: as given, else the data set's own below ``$CALF_DATASETS`` (./datasets)."""
        if self.root_path:
            return Path(self.root_path)
        spec = find_dataset(self.data)
        return Path() if spec.named_by_user else datasets_root() / spec.folder

    @property
    def file(self) -> Path:
        """Return the path of the training file, or of another one that the flags name.

        Raises:
            UserError: none is named, and the folder does not hold exactly one.
        """
        spec = find_dataset(self.data)
        if self.data_path:
            return (Path(self.root_path or "") / self.data_path).resolve()
        if not spec.named_by_user:
            return (self.folder / f"{self.data}{TRAIN}").resolve()
        if not self.root_path:
            raise UserError(
                f"--data {self.data} needs --data_path NAME{TRAIN}, or --root_path, the folder with such a file."
            )
        found = sorted(path for path in self.folder.glob("*.ts") if path.name.endswith(TRAIN))
        if len(found) != 1:
            names = ", ".join(shown_path(path.name) for path in found[:MOST_LISTED]) or "none"
            raise UserError(
                f"{shown_path(self.folder)} has to hold one file called NAME{TRAIN}, and there is {names}: name it "
                "with --data_path."
            )
        return found[0].resolve()

    def training_files(self) -> tuple[Path, Path]:
        """Return the absolute paths of training and test file.

        Raises:
            UserError: one is not there, or the file that is named is no training file.
        """
        train = self.file
        if not train.name.endswith(TRAIN):
            raise UserError(
                f"{shown_path(train)}: training takes a pair of files, NAME{TRAIN} and NAME{TEST} beside it; name the "
                "first with --data_path. A trained model classifies any file: --do_classify --load CHECKPOINT "
                "--data_path FILE."
            )
        test = train.with_name(train.name.removesuffix(TRAIN) + TEST)
        for path in (train, test):
            if not path.is_file():
                own = find_dataset(self.data).named_by_user
                where = "the pair of files has to lie in one folder"
                if not own:
                    where = "get it from timeseriesclassification.com, or name files of your own with --data custom"
                raise UserError(f"{shown_path(path)} does not exist: say with --root_path where it lies; {where}.")
        return train, test

    def files(self) -> tuple[Path, ...]:
        """Return the absolute paths of the files that are read: of a pair both, else the one to classify."""
        path = self.file
        beside = path.with_name(path.name.removesuffix(TRAIN) + TEST)
        return (path, beside) if path.name.endswith(TRAIN) and beside.is_file() else (path,)

    def identity(self) -> dict[str, Any]:
        """Return everything that figures depend on, as JSON; the file by its absolute path."""
        content = asdict(self)
        del content["root_path"], content["data_path"]
        return {**content, "file": str(self.file)}

    @classmethod
    def from_identity(cls, identity: dict[str, Any]) -> Self:
        """Return the configuration that has an identity; raise UserError if a part is missing or not possible."""
        content = {"root_path": None, **identity}
        content["data_path"] = content.pop("file", None)
        return from_json(cls, content)
