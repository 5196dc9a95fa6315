"""Camera paths are read and written a few at a time. Over HTTP: tests/host/test_editor.py."""

from __future__ import annotations

import threading

import pytest


@pytest.fixture(scope="module")
def pack(part_of_pack):
    return part_of_pack("nodes.path_routes")


def test_few_jobs_work_and_few_wait(pack):
    jobs, go, lock = pack.PathJobs(), threading.Event(), threading.Lock()
    started = threading.Semaphore(0)
    at_once = most = 0

    def work(number):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        started.release()
        assert go.wait(30)
        with lock:
            at_once -= 1
        return number

    waiting = []
    for number in range(100):
        try:
            waiting.append(jobs.submit(work, number))
        except pack.Busy:
            break
    assert 2 < len(waiting) < 20
    with pytest.raises(pack.Busy, match="Try again"):
        jobs.submit(work, 0)
    assert waiting.pop().cancel()  # the page has gone; its place is free again
    waiting.append(jobs.submit(work, 99))
    with pytest.raises(pack.Busy):
        jobs.check_room()
    assert started.acquire(timeout=30)
    go.set()
    assert [job.result(30) for job in waiting] == [*range(len(waiting) - 1), 99]
    assert most == 2
    jobs.check_room()


def test_an_error_frees_its_place(pack):
    jobs = pack.PathJobs()

    def broken():
        raise pack.PantheonError("no path")

    for _ in range(30):
        with pytest.raises(pack.PantheonError, match="no path"):
            jobs.submit(broken).result(30)
