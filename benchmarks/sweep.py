"""Sweeps: what sending cells to others costs, and that chunks keep it small."""

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks import harness
from benchmarks.harness import milliseconds

WORKERS = 2
CELLS, SECONDS = 4000, 2e-3  # sleeping cells: they need no core, so a busy machine times them too
REPEATS = 3
BAR = 0.05


def cell(n):
    """A cell that takes a known time and no processor."""
    time.sleep(SECONDS)
    return n


def report():
    rows = []
    for name, executor in EXECUTORS.items():
        with executor() as pool:
            rows.append(row(name, pool))
    header = ("executor", "empty task", "sweep", "over the work", "one task a cell", "promised")
    return (
        f"A sweep of {CELLS} cells that sleep about {milliseconds(SECONDS)}, on {WORKERS} workers; "
        f"median of {REPEATS}. Over the work: wall time beyond the measured time of the cells, "
        "shared evenly. One task a cell: the same without chunks, of a tenth of the cells.\n\n"
        + harness.table(header, rows)
    )


def row(name, pool):
    from gdbook.sweeps import sweep

    grid = {"n": range(CELLS)}
    sweep(cell, {"n": range(20)}, pool, progress=False)  # starts the workers
    empty = statistics.median(timed(lambda: pool.submit(abs, 1).result()) for _ in range(50))
    chunked, single = [], []
    for _ in range(REPEATS):
        work = CELLS * slept() / WORKERS
        chunked.append((timed(lambda: sweep(cell, grid, pool, progress=False)), work))
        single.append(timed(lambda: one_by_one(pool)) / (work / 10) - 1)
    over = statistics.median(taken / work - 1 for taken, work in chunked)
    return (
        name,
        milliseconds(empty),
        milliseconds(statistics.median(taken for taken, _ in chunked)),
        f"{over:.1%}",
        f"{statistics.median(single):.1%}",
        f"{BAR:.0%}: {'kept' if over <= BAR else 'MISSED'}",
    )


def one_by_one(pool):
    futures = [pool.submit(cell, n) for n in range(CELLS // 10)]
    return [future.result() for future in futures]


def slept():
    """Seconds that a cell really takes: sleeping is never exact."""
    return timed(lambda: [cell(n) for n in range(100)]) / 100


def timed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def spawned():
    return ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"))


@contextmanager
def loky():
    from loky import get_reusable_executor

    executor = get_reusable_executor(WORKERS)
    yield executor
    executor.shutdown()


@contextmanager
def dask():
    from distributed import Client, LocalCluster

    options = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client.get_executor(pure=False)


EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(WORKERS),
    "processes": spawned,
    "loky": loky,
    "Dask": dask,
}
