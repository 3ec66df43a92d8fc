"""Running the command line, in this process and as a process of its own."""

import os
import subprocess
import sys

import attrs
import pytest
import torch

from cachekit.cli import main


@attrs.frozen
class Result:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


@pytest.fixture
def cachekit_command(capsys):
    """`cachekit_command("run", "--out", folder)`: runs in this process."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_, torch.enable_grad():
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err + printed.out
        return Result(exit_.value.code, printed.out, printed.err)

    return call


@pytest.fixture
def start_command():
    """Start `cachekit` as a process of its own, with as many threads as this one; returns its Popen."""

    def start(*arguments, **environment):
        command = [sys.executable, "-c", "from cachekit.cli import main; main()", *map(str, arguments)]
        return subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


PROMPT = "a red circle moves left over the sea"


@pytest.fixture
def quick():
    """Options that make a run of one short video."""
    return ["--prompt", PROMPT, "--steps", "4"]
