"""Fetch public data sets to the places where they are read: ``python -m data_provider.download ETT``."""

import argparse
import errno
import hashlib
import logging
import os
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from data_provider.datasets import DATASETS, UEA, datasets_root
from utils.command import Parser, run_command, typed
from utils.errors import UserError
from utils.m4.patterns import PATTERNS

logger = logging.getLogger("calf")
COMMAND = "-m data_provider.download"
SILENCE = 30.0  # seconds without a new byte on disk after which a transfer is stopped
UNKNOWN = 100 << 20  # bytes at most; GitHub takes no larger file
LARGEST = 1 << 30  # bytes at most of a file whose size is not known here
MIRROR = "HF_ENDPOINT=https://hf-mirror.com names a mirror of huggingface.co."
# Fixed commits, so that a later change of a repository does not take the published file away.
RAW = "https://raw.githubusercontent.com"
HUB_PAGE = "https://huggingface.co/datasets/thuml/Time-Series-Library"
HUB = {"repo_id": "thuml/Time-Series-Library", "revision": "2b66e59ee19dac8f6f19fb5d4997f289fdfea357"}
M4_URL = f"{RAW}/Mcompetitions/M4-methods/6c1067e5a57161249b17289a565178dc7a3fb3ca/Dataset"
M4_PAGE = "https://github.com/Mcompetitions/M4-methods/tree/master/Dataset"
NAIVE2_URL = f"{RAW}/Nixtla/m4-forecasts/e3dce409604c55f1f588f02db439b4cbe9a482a3/forecasts/submission-Naive2.zip"
NAIVE2_PAGE = "https://github.com/Nixtla/m4-forecasts/tree/master/forecasts"
# Bytes and SHA-256 of each file. Of large files GitHub shows neither, but git's SHA-1 of the content (40 digits).
CONTENTS: dict[str, tuple[int, str]] = {
    "ETTh1.csv": (2_589_657, "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    "ETTh2.csv": (2_417_960, "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
    "ETTm1.csv": (10_360_719, "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
    "ETTm2.csv": (9_677_236, "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd"),
    "weather.csv": (7_235_425, "34ee981d07313e51da2a50bb600072c8ae4a69cb4b0651f4cb93a069d7a2ba63"),
    "electricity.csv": (95_581_762, "7e45845d54c5219bad0ae6bc1b5316cf8ff9cead5d33fa998a5a51c2e4a497ad"),
    "traffic.csv": (136_478_119, "cb06463d56fa17d87f47027cd9389ceae82a69eddee51cdb61480e120dab0b16"),
    "national_illness.csv": (67_620, "93601f64d2566dc796ca4305adad8b8560c2db1a1ff04543c3bd813a7263570a"),
    "Yearly-train.csv": (UNKNOWN, "639f4aa455f07fe83776ba2459be782730b45ed6"),
    "Yearly-test.csv": (1_486_434, "6dc2dd45b3af320389e2d3735cb4b3cdf320b63cbcda15d1a17193ab99702306"),
    "Quarterly-train.csv": (UNKNOWN, "94ce474ab74463e3db3edb616b5948be6af5079c"),
    "Quarterly-test.csv": (1_971_754, "bf1cab3b969a744c220cdc148e3829803eaa5da2754270fc4f376e775cd7d0ae"),
    "Monthly-train.csv": (UNKNOWN, "d956904cd5991422f70598453571572f5e6ba7f3"),
    "Monthly-test.csv": (UNKNOWN, "c27ca44ca20b15a40da9e96ca1867f1fff7aeecb"),
    "Weekly-train.csv": (4_015_067, "d478d3f6ed673e6ed3c2cb0fbed5425f72eedd51318ebebeb0b5ecfcefc37714"),
    "Weekly-test.csv": (44_247, "3b2bc4be8e636e802260dcd843ca3c5da40536a1fbe1ecb3229a97dae4f44688"),
    "Daily-train.csv": (UNKNOWN, "2393f4c26e7e002b3df8d173d83902ab26596928"),
    "Daily-test.csv": (576_459, "633b0815626ae266d36872c4d53e95eb93ee8d43e79587fceec519eba3e6b05e"),
    "Hourly-train.csv": (2_347_115, "ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f"),
    "Hourly-test.csv": (132_820, "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42"),
    "submission-Naive2.zip": (3_564_691, "120efea982b419e0f989505249ade55cdbd0727ea8597f75bdf7bef25b05867c"),
    "submission-Naive2.csv": (23_409_576, "f9610c625d6dee654ec458dcd07fb39373d065efc33b4f17d94c50b2aef00ef9"),
}


class PublicFile(NamedTuple):
    """A file of a public data set.

    Attributes:
        place: path below the folder of all data sets
        page: web page for people
        url: address of the file or of a zip archive with it; None for files that the Hugging Face hub has at ``place``
        elsewhere: second path below the folder of all data sets where the file is read
        hub: path in the repository of the Hugging Face hub, where it is not ``place``
    """

    place: str
    page: str
    url: str | None = None
    elsewhere: str | None = None
    hub: str | None = None

    def find(self, root: Path) -> Path | None:
        """Return where the file lies on disk; None if it does not."""
        return next(filter(Path.is_file, (root / self.place, root / (self.elsewhere or self.place))), None)


def _m4(pattern: str, part: str) -> PublicFile:
    name = f"{pattern}-{part.lower()}.csv"
    return PublicFile(f"m4/{name}", M4_PAGE, f"{M4_URL}/{part}/{name}", elsewhere=f"m4/{part}/{name}")


OPTIONAL = "m4/Naive2"
TABLES = {name: spec for name, spec in DATASETS.items() if spec.file in CONTENTS}
PUBLISHED: dict[str, tuple[PublicFile, ...]] = {
    **{name: (PublicFile(f"{spec.folder}/{spec.file}", spec.url),) for name, spec in TABLES.items()},
    **{f"m4/{pattern}": (_m4(pattern, "Train"), _m4(pattern, "Test")) for pattern in PATTERNS},
    OPTIONAL: (PublicFile("m4/submission-Naive2.csv", NAIVE2_PAGE, NAIVE2_URL),),
}
# Data of tasks without a forecast, of whose files no checksum is known here.
FURTHER = {
    name: tuple(PublicFile(f"{name}/{name}_{part}.npy", HUB_PAGE) for part in ("train", "test", "test_label"))
    for name in ("SMD", "MSL", "SMAP")
}
FURTHER |= {
    name: tuple(
        PublicFile(f"{spec.folder}/{name}_{part}.ts", HUB_PAGE, hub=f"{name}/{name}_{part}.ts")
        for part in ("TRAIN", "TEST")
    )
    for name, spec in DATASETS.items()
    if spec.config == UEA
}
GROUPS = {
    "ETT": [name for name in TABLES if name.startswith("ETT")],
    "m4": [name for name in PUBLISHED if name not in TABLES],
    "UEA": [name for name in FURTHER if FURTHER[name][0].hub],
    "all": list(PUBLISHED),
}
PUBLISHED |= FURTHER
CHOICES = ", ".join([*GROUPS, *TABLES, *(name for name in FURTHER if name not in GROUPS["UEA"])])


class NotFetched(Exception):
    """A file cannot be had; the message says why."""


def fetch_dataset(name: str, root: Path, overwrite: bool) -> str:
    """Bring the files of a data set to their places below ``root``; say what is not there as published."""
    messages, missing = [], {}
    for file in PUBLISHED[name]:
        try:
            messages += _bring(file, root, overwrite)
        except NotFetched as error:
            missing[root / file.place] = f"\n  {Path(file.place).name}: {error}"
    if missing:
        files, mirror = " and ".join(path.name for path in missing), "" if file.url else f" {MIRROR}"
        by_hand = f"By hand: get {files} from {file.page} and put it into {next(iter(missing)).parent}."
        messages.append(f"{name}: not fetched. {by_hand}{mirror}{''.join(missing.values())}")
    return "\n".join(messages)


def _bring(file: PublicFile, root: Path, overwrite: bool) -> list[str]:
    """Fetch a file unless it is on disk; return a message if another file is kept there."""
    found = file.find(root)
    differs = compare(found)[1] if found else ""
    if found and not (differs and overwrite):
        logger.info("%s: already there", found)
        return [f"{found}: not the published file ({differs}); kept. --overwrite replaces it."] if differs else []
    target = found or root / file.place
    folder = target.with_name(f".{target.name}.part")
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed process
    folder.mkdir(parents=True)
    try:
        logger.info("%s: fetching", target.name)
        path = _from_url(file.url, folder) if file.url else _from_hub(file.hub or file.place, folder)
        content, differs = compare(path)
        if differs:
            raise NotFetched(f"the source has another file: {differs}")
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:  # sound, since it is the published one
                content = archive.read(target.name)
        path.write_bytes(content)
        with path.open("rb+") as whole:
            os.fsync(whole.fileno())  # a machine that stops must not leave the new name with old contents
        os.replace(path, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    checked = "as published" if target.name in CONTENTS else "not checked: its checksum is not known here"
    logger.info("%s: fetched, %.1f MB, %s", target, len(content) / 1e6, checked)
    return []


def _from_hub(place: str, folder: Path) -> Path:
    from huggingface_hub import constants, errors, get_session, hf_hub_download, logging

    logging.set_verbosity_error()
    # Transfers by hf_xet cannot be interrupted, and pieces of 10 MB would look like silence.
    constants.HF_HUB_DISABLE_XET, constants.DOWNLOAD_CHUNK_SIZE = True, 1 << 14
    client = sys.modules[errors.HTTPError.__module__.partition(".")[0]]  # httpx or httpx2, as the version has it
    with _watched(folder, Path(place).name, client.HTTPError, client.InvalidURL):
        get_session().head(constants.ENDPOINT, timeout=10)  # fails at once where the next line would retry for long
        source = HUB if Path(place).name in CONTENTS else {**HUB, "revision": "main"}
        return Path(hf_hub_download(filename=place, repo_type="dataset", local_dir=folder, token=False, **source))


def _from_url(url: str, folder: Path) -> Path:
    from torch.hub import download_url_to_file

    path = folder / Path(url).name
    digest = CONTENTS[path.name][1]
    with _watched(folder, path.name, HTTPException):
        download_url_to_file(url, str(path), digest if len(digest) == 64 else None, progress=sys.stderr.isatty())
    return path


@contextmanager
def _watched(folder: Path, name: str, *failures: type[Exception]) -> Iterator[None]:
    """Turn the failures of a library that fetches a file into NotFetched; stop it at too many bytes or long silence."""
    limit = CONTENTS.get(name, (LARGEST, ""))[0]
    most, since = 0, time.monotonic()

    def look(*_: object) -> None:
        nonlocal most, since
        with suppress(FileNotFoundError):  # renamed meanwhile; the next look sees it
            size = sum(path.stat().st_size for path in folder.rglob("*"))
            if size > most:
                most, since = size, time.monotonic()
        if most > 2 * limit + (1 << 16):  # line ends may double a file; huggingface_hub writes some bytes beside it
            raise NotFetched(f"the source sends more than {limit:,} bytes")
        if time.monotonic() - since > SILENCE:
            raise NotFetched(f"nothing arrived for {SILENCE:.0f} seconds")

    has_alarm = hasattr(signal, "setitimer")  # not on Windows, where only the libraries' own limits hold
    if has_alarm:
        before = signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        yield
    except (OSError, ValueError, RuntimeError, *failures) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            error.filename = error.filename or str(folder.parent)
            raise
        said = str(error.__cause__ or error).strip() or type(error).__name__
        raise NotFetched("".join(filter(str.isprintable, said.partition("\n")[0]))) from error
    finally:
        if has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def compare(path: Path) -> tuple[bytes, str]:
    """Return the content of ``path`` with published line ends, and how else it differs from the published file."""
    if path.name not in CONTENTS:
        return path.read_bytes(), ""
    most, published = CONTENTS[path.name]
    with path.open("rb") as file:
        content = file.read(2 * most + 1)  # longer line ends at most double a file; the rest may not fit into memory

    def digest(content: bytes) -> str:
        git_blob = b"blob %d\0" % len(content)
        return (hashlib.sha256(content) if len(published) == 64 else hashlib.sha1(git_blob + content)).hexdigest()

    for version in (content, content.replace(b"\r\n", b"\n"), content.replace(b"\n", b"\r\n")):
        if digest(version) == published:
            return version, ""
    return content, f"{path.stat().st_size:,} bytes, digest {digest(content)} instead of {published}"


def choose(names: Iterable[str]) -> list[str]:
    """Return the data sets that names of data sets and of groups mean, each once; raise UserError for other names."""
    meant = {key.lower(): members for key, members in (GROUPS | {name: [name] for name in PUBLISHED}).items()}
    for name in names:
        if name.lower() not in meant:
            raise UserError(f"{name}: no such data set to fetch; choose among {CHOICES}, or a part such as m4/Hourly.")
    return list(dict.fromkeys(member for name in names for member in meant[name.lower()]))


def on_disk(root: Path, names: Iterable[str], *, whole: bool) -> Iterator[str]:
    """Yield a line for each file: whether it is on disk, and where; or the names of ``whole`` data sets alone."""
    for name in names:
        found = {file: file.find(root) for file in PUBLISHED[name]}
        if whole and name != OPTIONAL and all(found.values()):
            yield name
        if not whole:
            missing = "missing, optional" if name == OPTIONAL else "missing"
            for file, path in found.items():
                yield f"{name:<13} {'on disk' if path else missing:<18} {path or root / file.place}"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = Parser(f"python {COMMAND}", description=__doc__, epilog=MIRROR, allow_abbrev=False)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"{CHOICES}, m4/Hourly, …")
    add("--root", type=Path, default=datasets_root(), help="folder of all data sets ($CALF_DATASETS or ./datasets)")
    add("--overwrite", action="store_true", help="replace files that are not the published ones")
    add("--status", action="store_true", help="fetch nothing; say what is on disk and where")
    add("--present", action="store_true", help="fetch nothing; print the names of what is on disk")
    return parser


def run(args: argparse.Namespace) -> None:
    """Carry out what the command line asks for; raise UserError where a needed file is not there as published."""
    names = choose(args.names)
    if args.present or args.status:
        for line in on_disk(args.root, names or PUBLISHED, whole=args.present):
            print(line)
        return
    if not names:
        raise UserError(f"name a data set to fetch: {', '.join(GROUPS)}, … (--help has them all).")
    messages = {name: fetch_dataset(name, args.root, args.overwrite) for name in names}
    if optional := messages.pop(OPTIONAL, ""):
        logger.info("Not needed, Naive2 is computed where its file is missing: %s", optional)
    if failures := "\n".join(filter(None, messages.values())):
        raise UserError(failures)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), typed(COMMAND, argv))


if __name__ == "__main__":
    sys.exit(main())
