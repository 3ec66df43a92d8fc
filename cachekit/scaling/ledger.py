"""What pieces of work came to, a line each as they are done, in a folder where every share has a file of its own.

For work whose pieces are no videos: a calibration's runs, an evaluation's pairs. The folder's ledger is all its files
together; the first line of each says which work it is of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from cachekit.errors import CachekitError
from cachekit.files.reading import read_bytes
from cachekit.files.writing import append_whole, cut_torn_line, make_folder, reason, unwritten
from cachekit.generation.claims import Claim, at_the_door, claim
from cachekit.generation.manifest import difference
from cachekit.scaling.shares import Share

NAME, WHAT = "done.jsonl", "the file of what is done"
LARGEST = 2**33


@attrs.define
class Ledger:
    """One folder's pieces that are done, by their keys."""

    folder: Path
    job: dict[str, Any]
    """The work that they are pieces of, as JSON: what two shares of it have in common."""
    done: dict[str, Any]
    name: str = NAME
    """The file that this process adds to."""
    _claim: Claim | None = None

    @classmethod
    def open(cls, folder: Path, job: dict[str, Any], share: Share | None) -> Ledger:
        """Go on with a folder, or begin it. CachekitError where it is of other work, or another process has this share.

        Close it when the work is done.
        """
        job = json.loads(json.dumps(job))
        name = share.named(Path(NAME)).name if share else NAME
        make_folder(folder)
        with at_the_door(folder):
            claimed = claim(folder / name, "")
            try:
                known, done = read_ledgers([folder], job)
                ledger = cls(folder, known, done, name, claimed)
                ledger._begin()
            except BaseException:
                claimed.release()
                raise
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        if self._claim is not None:
            self._claim.release()

    def add(self, key: str, record: Any) -> None:
        """Keep what a piece came to."""
        self._write({"piece": key, "record": record})
        self.done[key] = record

    def look_again(self) -> None:
        """Read anew what is done, for what other processes have added."""
        _, self.done = read_ledgers([self.folder], self.job)

    def _begin(self) -> None:
        """Start this share's file with the work it is of; cut away a line that a kill left half-written."""
        path = self.folder / self.name
        try:
            cut_torn_line(path)
        except OSError as error:
            raise unwritten(path, WHAT, error) from error
        if not path.exists() or not path.stat().st_size:
            self._write({"job": self.job})

    def _write(self, line: dict[str, Any]) -> None:
        append_whole(self.folder / self.name, json.dumps(line) + "\n", WHAT)


def is_ledger(folder: Path) -> bool:
    return bool(ledger_files(folder))


def ledger_files(folder: Path) -> list[Path]:
    stem, _, suffix = NAME.partition(".")
    return sorted([*folder.glob(NAME), *folder.glob(f"{stem}-*-of-*.{suffix}")])


def read_ledgers(folders: Sequence[Path], job: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The work that these folders are of, and all pieces that are done, by key.

    Raises CachekitError where they are of several works, or of another than `job`.
    """
    done: dict[str, Any] = {}
    for folder in folders:
        for path in ledger_files(folder):
            try:
                lines = read_bytes(path, LARGEST).split(b"\n")[:-1]
            except (OSError, ValueError) as error:
                raise CachekitError(f"{str(path)!r} can't be read: {reason(error)}; move it away") from error
            for number, line in enumerate(lines, start=1):
                record = _structured(line, path, number)
                if number == 1:
                    job = record["job"] if job is None else job
                    _check_same(path, record["job"], job)
                else:
                    done[record["piece"]] = record["record"]
    if job is None:
        names = ", ".join(repr(str(folder)) for folder in folders)
        raise CachekitError(f"nothing is done yet in {names}; gather when a share has begun")
    return job, done


def missing(pieces: Iterable[str], done: dict[str, Any]) -> list[str]:
    """The pieces that are not done, in their order."""
    return [piece for piece in pieces if piece not in done]


def _structured(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line.decode())
        if not isinstance(record, dict) or not (
            isinstance(record.get("job"), dict)
            if number == 1
            else isinstance(record.get("piece"), str) and "record" in record
        ):
            raise ValueError("it is no piece of work")
    except (ValueError, RecursionError) as error:
        raise CachekitError(
            f"line {number} of {str(path)!r} is damaged ({error}); remove the file to do its share anew"
        ) from error
    return record


def _check_same(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    for name in {**theirs, **ours}:
        if theirs.get(name) != ours.get(name):
            raise CachekitError(
                f"{str(path)!r} is of other work, with {difference(name, ours.get(name), theirs.get(name))}; "
                "choose another --out, or remove the folder that it is in"
            )
