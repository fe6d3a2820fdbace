"""Where the public data sets can be fetched, and what they have to look like."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_provider.datasets import DATASETS
from utils.checksum import Checksum
from utils.errors import UserError
from utils.m4.patterns import PATTERNS


@dataclass(frozen=True)
class PublicFile:
    """A file of a public data set.

    Attributes:
        place: where it goes below the data sets' root. elsewhere: other places where it is looked for.
        urls: where to fetch it, best first; what ends in .zip is an archive with the file in it.
        page: for people, where to find it.
        checksum: of the file itself. size: in bytes, where known.
        optional: nothing fails without it.
    """

    place: str
    urls: tuple[str, ...]
    page: str
    checksum: Checksum
    size: int | None = None
    elsewhere: tuple[str, ...] = ()
    optional: bool = False

    @property
    def name(self) -> str:
        return Path(self.place).name

    def find(self, root: Path) -> Path | None:
        """Where it lies on disk."""
        places = (root / place for place in (self.place, *self.elsewhere))
        return next((path for path in places if path.is_file()), None)

    def difference(self, path: Path) -> str | None:
        """How ``path`` differs from the published file; None if it does not."""
        if self.checksum.fits(path):
            return None
        size = path.stat().st_size
        bytes_ = f"{size:,} bytes" if self.size in (None, size) else f"{size:,} bytes instead of {self.size:,}"
        return f"{_oddity(path)}{bytes_}, {self.checksum.of(path)} instead of {self.checksum}"


def _oddity(path: Path) -> str:
    """What else than a table a file seems to be."""
    with path.open("rb") as file:
        start = file.read(1024).lstrip()
    if start.lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page: "
    if start.startswith(b"version https://git-lfs"):
        return "a pointer to the file: "
    return "" if start else "empty: "


# Fixed commits, so that a later change of a repository does not take the published file away.
_ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/{place}"
_HUB = "https://huggingface.co/datasets/thuml/Time-Series-Library/resolve/main/{place}"
_HUB_MIRROR = "https://hf-mirror.com/datasets/thuml/Time-Series-Library/resolve/main/{place}"
_M4 = (
    "https://raw.githubusercontent.com/Mcompetitions/M4-methods/6c1067e5a57161249b17289a565178dc7a3fb3ca"
    "/Dataset/{folder}/{name}"
)
_NAIVE2 = (
    "https://raw.githubusercontent.com/Nixtla/m4-forecasts/e3dce409604c55f1f588f02db439b4cbe9a482a3"
    "/forecasts/submission-Naive2.zip"
)
_M4_PAGE = "https://github.com/Mcompetitions/M4-methods/tree/master/Dataset"


def _table(name: str, size: int, sha256: str) -> tuple[PublicFile]:
    """The one file of a data set of ``DATASETS``."""
    spec = DATASETS[name]
    place = f"{spec.folder}/{spec.file}"
    sources = (_ETT, _HUB, _HUB_MIRROR) if name.startswith("ETT") else (_HUB, _HUB_MIRROR)
    urls = tuple(source.format(place=place) for source in sources)
    return (PublicFile(place, urls, spec.url, Checksum("SHA-256", sha256), size),)


def _m4(pattern: str) -> tuple[PublicFile, PublicFile]:
    """The series of an M4 pattern, and the values that follow them."""
    return _m4_part(pattern, "Train"), _m4_part(pattern, "Test")


def _m4_part(pattern: str, folder: str) -> PublicFile:
    name = f"{pattern}-{folder.lower()}.csv"
    kind, digits, size = _M4_FILES[name]
    url, elsewhere = _M4.format(folder=folder, name=name), f"m4/{folder}/{name}"
    return PublicFile(f"m4/{name}", (url,), _M4_PAGE, Checksum(kind, digits), size, elsewhere=(elsewhere,))


# Kind and digits of the checksum, and the size. Git blobs where only the repository's own listing tells them.
_M4_FILES: dict[str, tuple[Literal["SHA-256", "git blob"], str, int | None]] = {
    "Yearly-train.csv": ("git blob", "639f4aa455f07fe83776ba2459be782730b45ed6", None),
    "Yearly-test.csv": ("SHA-256", "6dc2dd45b3af320389e2d3735cb4b3cdf320b63cbcda15d1a17193ab99702306", 1_486_434),
    "Quarterly-train.csv": ("git blob", "94ce474ab74463e3db3edb616b5948be6af5079c", None),
    "Quarterly-test.csv": ("SHA-256", "bf1cab3b969a744c220cdc148e3829803eaa5da2754270fc4f376e775cd7d0ae", 1_971_754),
    "Monthly-train.csv": ("git blob", "d956904cd5991422f70598453571572f5e6ba7f3", None),
    "Monthly-test.csv": ("git blob", "c27ca44ca20b15a40da9e96ca1867f1fff7aeecb", None),
    "Weekly-train.csv": ("SHA-256", "d478d3f6ed673e6ed3c2cb0fbed5425f72eedd51318ebebeb0b5ecfcefc37714", 4_015_067),
    "Weekly-test.csv": ("SHA-256", "3b2bc4be8e636e802260dcd843ca3c5da40536a1fbe1ecb3229a97dae4f44688", 44_247),
    "Daily-train.csv": ("git blob", "2393f4c26e7e002b3df8d173d83902ab26596928", None),
    "Daily-test.csv": ("SHA-256", "633b0815626ae266d36872c4d53e95eb93ee8d43e79587fceec519eba3e6b05e", 576_459),
    "Hourly-train.csv": ("SHA-256", "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f", 2_347_115),
    "Hourly-test.csv": ("SHA-256", "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42", 132_820),
}

PUBLISHED: dict[str, tuple[PublicFile, ...]] = {
    "ETTh1": _table("ETTh1", 2_589_657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    "ETTh2": _table("ETTh2", 2_417_960, "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
    "ETTm1": _table("ETTm1", 10_360_719, "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
    "ETTm2": _table("ETTm2", 9_677_236, "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd"),
    "weather": _table("weather", 7_235_425, "34ee981d07313e51da2a50bb600072c8ae4a69cb4b0651f4cb93a069d7a2ba63"),
    "electricity": _table(
        "electricity", 95_581_762, "7e45845d54c5219bad0ae6bc1b5316cf8ff9cead5d33fa998a5a51c2e4a497ad"
    ),
    "traffic": _table("traffic", 136_478_119, "cb06463d56fa17d87f47027cd9389ceae82a69eddee51cdb61480e120dab0b16"),
    "illness": _table("illness", 67_620, "93601f64d2566dc796ca4305adad8b8560c2db1a1ff04543c3bd813a7263570a"),
    **{f"m4/{pattern}": _m4(pattern) for pattern in PATTERNS},
    "m4/Naive2": (
        PublicFile(
            "m4/submission-Naive2.csv",
            (_NAIVE2,),
            "https://github.com/Nixtla/m4-forecasts/tree/master/forecasts",
            Checksum("SHA-256", "f9610c625d6dee654ec458dcd07fb39373d065efc33b4f17d94c50b2aef00ef9"),
            23_409_576,
            optional=True,
        ),
    ),
}

GROUPS = {
    "ETT": tuple(name for name in PUBLISHED if name.startswith("ETT")),
    "m4": tuple(name for name in PUBLISHED if name.startswith("m4/")),
    "all": tuple(PUBLISHED),
}


def choose(names: Iterable[str]) -> list[str]:
    """The data sets that are meant by names of data sets and of groups, each once.

    Raises:
        UserError: one of the names means none.
    """
    meant = {key.lower(): members for key, members in (GROUPS | {name: (name,) for name in PUBLISHED}).items()}
    chosen: dict[str, None] = {}
    for name in names:
        if name.lower() not in meant:
            choices = ", ".join([*GROUPS, *(key for key in PUBLISHED if key not in GROUPS["m4"])])
            raise UserError(f"{name}: no such data set to fetch; choose among {choices}, or a part such as m4/Hourly.")
        chosen |= dict.fromkeys(meant[name.lower()])
    return list(chosen)
