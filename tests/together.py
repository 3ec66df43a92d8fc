"""Processes that share one generation: each a rank of a gloo group on this machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import torch


def what_ranks_find(work: Callable[[int, int, Any], None], ranks: int, *, seconds: float) -> dict[int, Any]:
    """What each rank puts into the queue as `(rank, found)`, by rank; `work(rank, port, queue)` runs in each.

    Raises queue.Empty where one has found nothing after so many seconds, or has ended without.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=work, args=(rank, port, queue)) for rank in range(ranks)]
    for process in processes:
        process.start()
    found: dict[int, Any] = {}
    until = time.monotonic() + seconds
    while len(found) < ranks:
        try:
            found.update([queue.get(timeout=5)])
        except Empty:
            ended = [rank for rank, process in enumerate(processes) if process.exitcode and rank not in found]
            if ended or time.monotonic() > until:
                raise
    for process in processes:
        process.join(60)
    return found
