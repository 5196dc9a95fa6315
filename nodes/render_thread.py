"""One thread that renders for the page: single frames before whole paths, and the newest request wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..pantheon_core.errors import PantheonError, Progress

Kind: TypeAlias = Literal["frame", "report"]

_MAX_WAITING = 32


class Superseded(PantheonError):
    """A newer request of the same client took the place of this one."""


class Busy(PantheonError):
    """Too many clients are waiting."""


@dataclass(eq=False, slots=True)
class _Job:
    place: tuple[str, Kind]
    work: Callable[[Progress], Any]
    future: Future[Any]
    stale: bool = False


class RenderThread:
    """Runs jobs one after the other, off the server's event loop.

    Each client has one place for a frame and one for a report. Who comes again takes his own place anew: the
    job that waited there ends with `Superseded`, and one that runs ends at its next step. Frames go first: a
    report stands back for them between two of its own frames.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, Kind], _Job] = {}
        self._running: list[_Job] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, client: str, kind: Kind, work: Callable[[Progress], Any]) -> Future[Any]:
        """Have `work(progress)` called in the thread; it calls `progress` between its steps.

        Raises:
            Busy: too many clients are waiting.
        """
        job = _Job((client, kind), work, Future())
        with self._wake:
            old = self._waiting.get(job.place)
            if old is None and len(self._waiting) >= _MAX_WAITING:
                raise Busy("Too many pages are asking for pictures of 3D caches. Close some and try again.")
            for running in self._running:
                running.stale = running.stale or running.place == job.place
            self._waiting[job.place] = job  # in the old one's position: who asks often is not served last
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="pantheon-scrub", daemon=True)
                self._thread.start()
            self._wake.notify()
        if old is not None:
            _end(old, error=_superseded())
        return job.future

    def _take(self, *kinds: Kind) -> _Job | None:
        """The longest waiting job of the first kind of which there is one. Called with the lock."""
        for kind in kinds:
            for place in self._waiting:
                if place[1] == kind:
                    return self._waiting.pop(place)
        return None

    def _loop(self) -> None:
        while True:
            with self._wake:
                while (job := self._take("frame", "report")) is None:
                    self._wake.wait()
                self._running.append(job)
            self._run(job)

    def _run(self, job: _Job) -> None:
        def progress(done: int, total: int) -> None:
            if job.stale:
                raise _superseded()
            if job.place[1] == "report":
                self._frames_first()

        try:
            result = job.work(progress)
        except Exception as error:  # noqa: BLE001 - whoever waits for the job gets it
            _end(job, error=error)
        else:
            _end(job, result=result)
        finally:
            with self._wake:
                self._running.remove(job)

    def _frames_first(self) -> None:
        while True:
            with self._wake:
                urgent = self._take("frame")
                if urgent is None:
                    return
                self._running.append(urgent)
            self._run(urgent)


def _superseded() -> Superseded:
    return Superseded("A newer request took the place of this one.")


def _end(job: _Job, *, result: Any = None, error: Exception | None = None) -> None:
    # False where the one who waited has gone.
    if job.future.set_running_or_notify_cancel():
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
