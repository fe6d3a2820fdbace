"""Fetch public data sets to where they are read: ``python -m data_provider.download ETT``."""

import argparse
import logging
import os
import shutil
import sys
import zipfile
import zlib
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from data_provider.datasets import datasets_root
from data_provider.sources import GROUPS, PUBLISHED, PublicFile, choose
from utils.errors import UserError, give_up
from utils.files import replacing
from utils.progress import megabytes
from utils.transfer import TransferError, Unreachable, discard, fetch

logger = logging.getLogger("calf")


class Outcome(Enum):
    """What became of a data set; of several files the last in this order counts."""

    PRESENT = "already there"
    FETCHED = "fetched"
    OPTIONAL = "optional, not fetched"
    KEPT = "kept, though not the published file"
    FAILED = "not fetched"


class Downloader:
    """Fetches data sets into a folder; remembers which addresses cannot be reached, so as to ask them once."""

    def __init__(self, root: Path, overwrite: bool = False) -> None:
        self._root = root
        self._overwrite = overwrite
        self._unreachable: dict[str, str] = {}

    def get(self, name: str) -> Outcome:
        """Bring the files of a data set to their places, and say what became of them.

        Raises:
            OSError: a file cannot be read or written.
        """
        outcomes, missing, reasons = [], [], []
        for file in PUBLISHED[name]:
            try:
                outcomes.append(self._get_file(file))
            except TransferError as error:
                outcomes.append(Outcome.OPTIONAL if file.optional else Outcome.FAILED)
                missing.append(file)
                reasons += str(error).splitlines()
        if missing:
            _tell_missing(name, missing, reasons, self._root)
        return max(outcomes, key=list(Outcome).index)

    def _get_file(self, file: PublicFile) -> Outcome:
        found = file.find(self._root)
        if found:
            difference = file.difference(found)
            if difference is None:
                logger.info("%s: already there, as published", found)
                return Outcome.PRESENT
            if not self._overwrite:
                logger.info("%s: not the published file (%s); kept. --overwrite replaces it.", found, difference)
                return Outcome.OPTIONAL if file.optional else Outcome.KEPT
        target = found or self._root / file.place
        part = target.with_name(f"{target.name}.part")
        reasons = []
        for url in file.urls:
            try:
                self._fetch(url, part, file)
            except TransferError as error:
                reasons.append(f"{urlsplit(url).hostname}: {error}")
                continue
            os.replace(part, target)
            discard(part)
            logger.info("%s: fetched, %s, as published", target, megabytes(target.stat().st_size))
            return Outcome.FETCHED
        raise TransferError("\n".join(reasons))

    def _fetch(self, url: str, part: Path, file: PublicFile, again: bool = False) -> None:
        host = urlsplit(url).netloc
        if host in self._unreachable:
            raise TransferError(self._unreachable[host])
        logger.info("%s: fetching from %s%s", file.name, host, f", {megabytes(file.size)}" if file.size else "")
        try:
            pieced = fetch(url, part, file.name)
        except Unreachable as error:
            self._unreachable[host] = str(error)
            raise
        difference = _unpack(part, file) if url.endswith(".zip") else None
        difference = difference or file.difference(part)
        if difference is None:
            return
        discard(part)
        if pieced and not again:  # what was there before may have been at fault
            return self._fetch(url, part, file, again=True)
        raise TransferError(f"it serves another {file.name}: {difference}")


def _unpack(part: Path, file: PublicFile) -> str | None:
    """Put the file of an archive in the archive's place; says so if it is not in there."""
    try:
        with zipfile.ZipFile(part) as archive:
            inside = [info for info in archive.infolist() if Path(info.filename).name == file.name]
            # An archive can promise little and unpack to any size; reading stops at the size in its listing.
            if not inside or inside[0].file_size != file.size:
                return f"no {file.name} of {file.size:,} bytes in the archive"
            with archive.open(inside[0]) as packed, replacing(part) as temporary, temporary.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted, or unknown to us
        return f"no archive that can be read ({error})"
    return None


def _tell_missing(name: str, missing: list[PublicFile], reasons: list[str], root: Path) -> None:
    """One message for a data set: what failed, and how to get it by hand."""
    files, folder = " and ".join(file.name for file in missing), (root / missing[0].place).parent
    by_hand = f"By hand: get {files} from {missing[0].page} and put it into {folder}."
    why = "".join(f"\n  {reason}" for reason in dict.fromkeys(reasons))
    if missing[0].optional:
        logger.info("%s: not fetched, and not needed: Naive2 is then computed. %s%s", name, by_hand, why)
        return
    sys.stdout.flush()
    print(f"error: {name}: not fetched. {by_hand}{why}", file=sys.stderr)


def present(root: Path) -> list[str]:
    """The data sets of which every file is on disk."""
    return [
        name
        for name, files in PUBLISHED.items()
        if all(file.find(root) for file in files) and not any(file.optional for file in files)
    ]


def status(root: Path, names: Sequence[str]) -> list[str]:
    """A line for each file: whether it is on disk, and where."""
    lines = []
    for name in names:
        for file in PUBLISHED[name]:
            found, part = file.find(root), root / f"{file.place}.part"
            if found:
                state = "on disk"
            elif part.exists():
                state = f"{megabytes(part.stat().st_size)} so far"
            else:
                state = "missing, optional" if file.optional else "missing"
            lines.append(f"{name:<13} {state:<18} {found or root / file.place}")
    return lines


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m data_provider.download", description=__doc__, allow_abbrev=False)
    names = [*GROUPS, *(name for name in PUBLISHED if name not in GROUPS["m4"]), "m4/Hourly, …"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--root", type=Path, default=datasets_root(), help="folder of all data sets ($CALF_DATASETS or ./datasets)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are not the published ones")
    parser.add_argument("--status", action="store_true", help="fetch nothing; say what is on disk and where")
    parser.add_argument("--present", action="store_true", help="fetch nothing; print the names of what is on disk")
    return parser


def run(args: argparse.Namespace) -> int:
    """Carry out what the command line asks for; the exit code.

    Raises:
        UserError: an unknown name, or none.
        OSError: a file cannot be read or written.
    """
    names = choose(args.names)
    if args.present:
        for name in present(args.root):
            print(name)
        return 0
    if args.status:
        for line in status(args.root, names or list(PUBLISHED)):
            print(line)
        return 0
    if not names:
        raise UserError(f"name a data set to fetch: {', '.join(GROUPS)}, … (--help has them all).")
    downloader = Downloader(args.root, args.overwrite)
    outcomes = {name: downloader.get(name) for name in names}
    for outcome in Outcome:
        if outcome in outcomes.values():
            logger.info("%s: %s", outcome.value, ", ".join(name for name in names if outcomes[name] is outcome))
    return 2 if {Outcome.KEPT, Outcome.FAILED} & set(outcomes.values()) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 with a message for what could not be had; 130 when stopped by hand."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    for name in ("calf", "utils"):
        logging.getLogger(name).setLevel(logging.INFO)
    args = build_parser().parse_args(argv)
    try:
        return run(args)
    except UserError as error:
        return give_up(str(error), 2)
    except OSError as error:  # a full disk, a read-only folder
        again = "What was there before is whole; run the same command again to go on."
        return give_up(f"{error.filename or args.root}: {error.strerror or error}. {again}", 2)
    except KeyboardInterrupt:
        return give_up("stopped by hand; run the same command again to go on from there.", 130)


if __name__ == "__main__":
    sys.exit(main())
