"""A share of the work: the I-th of N, as said by hand or as read from what started this process.

torchrun and accelerate set `RANK` and `WORLD_SIZE`, SLURM `SLURM_PROCID` and `SLURM_NTASKS` for each task that srun
starts, and for each job of an array `SLURM_ARRAY_TASK_ID` with the array's `_COUNT`, `_MIN`, `_MAX` and `_STEP`. An
array of jobs that each start several processes is dealt out over all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from cachekit.errors import CachekitError

T = TypeVar("T")

PROCESSES = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))
"""What numbers a process among those started together: the first that numbers more than one."""
LOCAL = ("LOCAL_RANK", "SLURM_LOCALID")
"""What numbers a process on its own machine."""


@attrs.frozen
class Share:
    """The `number`-th of `of` shares, counted from 1."""

    number: int
    of: int
    source: str = attrs.field(default="", eq=False)
    """What said so."""

    def deal(self, pieces: Sequence[T]) -> list[T]:
        """This share's pieces, dealt out round robin: every piece is in one share, and shares differ by one at most."""
        return list(pieces[self.number - 1 :: self.of])

    def named(self, path: Path) -> Path:
        """The share's own file in place of a file: `results-3-of-8.json`."""
        return path.with_name(f"{path.stem}-{self.number}-of-{self.of}{path.suffix}")

    def __str__(self) -> str:
        return f"share {self.number} of {self.of}"


def parse_share(text: str) -> Share:
    """`3/8`, the third of eight; CachekitError where that is no share."""
    match = re.fullmatch(r"\s*(-?\d{1,9})\s*/\s*(-?\d{1,9})\s*", text, re.ASCII)
    if match is None:
        raise CachekitError(f"--shard {text[:40]!r} is no share; write it as --shard 3/8, the third of eight")
    number, of = int(match[1]), int(match[2])
    if of < 1:
        raise CachekitError(f"--shard {text!r} deals the work out among {of}; there must be at least 1 share")
    if not 1 <= number <= of:
        raise CachekitError(f"--shard {text!r} is outside its {of} shares; they are numbered from 1 to {of}")
    return Share(number, of, f"--shard {text.strip()}")


def share_of_environment(environment: Mapping[str, str]) -> Share | None:
    """The share that a launcher's variables mean; None where this process is alone, or no launcher started it.

    Raises CachekitError where they contradict each other.
    """
    index, of, sources = 0, 1, []
    for place in (_array(environment), _process(environment)):
        if place is not None:
            own_index, own_of, source = place
            index, of = index * own_of + own_index, of * own_of
            sources += [source] if own_of > 1 else []
    return Share(index + 1, of, ", ".join(sources)) if of > 1 else None


def local_rank(environment: Mapping[str, str]) -> int | None:
    """This process's number on its machine, which chooses its GPU; None where no launcher says it."""
    return next((_number(environment, name) for name in LOCAL if name in environment), None)


def _process(environment: Mapping[str, str]) -> tuple[int, int, str] | None:
    for number_name, count_name in PROCESSES:
        if number_name in environment and count_name in environment:
            number, count = _number(environment, number_name), _number(environment, count_name)
            if (number, count) != (0, 1):
                return _checked(number, count, f"{number_name} {number} of {count_name} {count}")
    return None


def _array(environment: Mapping[str, str]) -> tuple[int, int, str] | None:
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "MAX", "STEP")]
    if not set(names[:2]) <= set(environment):
        return None
    task, count, low, high, step = (_number(environment, name) if name in environment else None for name in names)
    assert task is not None
    assert count is not None
    low, step = low or 0, step or 1
    source = f"SLURM_ARRAY_TASK_ID {task} of SLURM_ARRAY_TASK_COUNT {count}"
    if (task - low) % step or (high is not None and (high - low) // step + 1 != count):
        raise CachekitError(
            f"{source} is of an array whose numbers don't follow each other by {step} from {low}, so they tell no "
            "share; say it with --shard"
        )
    return _checked((task - low) // step, count, source)


def _checked(index: int, of: int, source: str) -> tuple[int, int, str]:
    if not 0 <= index < of:
        raise CachekitError(f"{source} is no share; say it with --shard, or --shard 1/1 to do everything here")
    return index, of, source


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name].strip()
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise CachekitError(f"the variable {name} is {text[:40]!r}, no number; say the share with --shard 3/8")
    return int(text)
