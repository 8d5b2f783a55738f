"""Work on many orbits in parts: threads over the orbits, slices over the steps, a progress bar.

A kernel is called for one part of the orbits and a slice of the steps at a time. So threads share
the orbits, an interrupt is heard within a moment, and the bar moves. Every orbit is computed by
itself: results do not depend on the parts.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from gdbook import arguments

__all__ = ["in_parts", "processors"]

# Steps of single orbits in a call of a kernel, about a tenth of a second; below it no threads.
_SLICE = 2**26


def in_parts(work, orbits, steps, lanes, workers=None, title="", progress=True):
    """Call ``work(part, slices)`` for every part of the orbits; a list of the answers, in order.

    Parameters
    ----------
    work : callable
        Takes a slice of the orbits and an iterator over pairs ``begin, end`` of steps.
    orbits, steps : int
    lanes : int
        A part is a multiple of it, except the last.
    workers : int, optional
        Number of threads; by default, as many as there are processors for this process.
    title : str
        Stands beside the bar.
    progress : bool
        Whether a bar appears after a second.

    Examples
    --------
    >>> in_parts(lambda part, slices: (part, list(slices)), 3, 100, lanes=64)
    [(slice(0, 3, None), [(0, 100)])]
    """
    workers = processors() if workers is None else arguments.natural(workers, "workers", least=1)
    workers = workers if orbits * steps > _SLICE else 1
    size = lanes * max(1, -(-orbits // (4 * workers * lanes))) if workers > 1 else max(1, orbits)
    stride = max(1, _SLICE // (4 * max(lanes, min(size, orbits))))
    parts = [slice(first, min(first + size, orbits)) for first in range(0, orbits, size)]
    bar = _Bar(orbits * steps, title, progress)

    def slices(part):
        for begin in range(0, steps, stride):
            end = min(begin + stride, steps)
            yield begin, end
            bar.add((part.stop - part.start) * (end - begin))

    try:
        if workers == 1:
            return [work(part, slices(part)) for part in parts]
        with ThreadPoolExecutor(workers) as pool:
            try:
                return list(pool.map(lambda part: work(part, slices(part)), parts))
            except BaseException:
                bar.stopped = True
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        bar.close()


def processors():
    """How many processors this process may use.

    Examples
    --------
    >>> processors() >= 1
    True
    """
    count = getattr(os, "process_cpu_count", None)  # from Python 3.13 on
    if count is not None:
        return count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Bar:
    """A bar that is made only when the work takes longer than a second."""

    def __init__(self, total, title, wanted):
        self.total, self.title, self.wanted = total, title, wanted
        self.done, self.bar, self.stopped = 0, None, False
        self.begin, self.lock = time.monotonic(), threading.Lock()

    def add(self, count):
        if self.stopped:
            raise KeyboardInterrupt
        with self.lock:
            self.done += count
            late = self.wanted and time.monotonic() - self.begin > 1 and self.done < self.total
            if self.bar is None and late:
                from tqdm import tqdm

                self.bar = tqdm(total=self.total, desc=self.title, unit="step", unit_scale=True)
            if self.bar is not None:
                self.bar.update(self.done - self.bar.n)

    def close(self):
        if self.bar is not None:
            self.bar.close()
