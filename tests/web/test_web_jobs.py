"""Work in the background: one job for each key, kept for a while, with errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from b24lake.errors import StopError
from b24lake.web.jobs import AT_ONCE, DONE, FAILED, KEPT, RUNNING, Job, Jobs

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def ended(jobs: Jobs, key: str) -> Job:
    for _ in range(2000):
        job = jobs.found(key)
        assert job is not None
        if job.state != RUNNING:
            return job
        threading.Event().wait(0.005)
    raise AssertionError(f"{key} goes on and on")


def done(jobs: Jobs, key: str, work: Callable[[], Any], now: datetime = NOW, **how: bool) -> Job:
    jobs.start(key, work, now, **how)
    return ended(jobs, key)


def raising(error: Exception) -> Callable[[], Any]:
    def work() -> Any:
        raise error

    return work


def test_a_key_has_one_job_while_it_is_at_work() -> None:
    jobs, go = Jobs(), threading.Event()
    first = jobs.start("a", lambda: go.wait(10), NOW)
    assert jobs.start("a", lambda: "second", NOW, again=True) is first
    assert first.seconds(NOW + timedelta(seconds=3)) == 3
    go.set()
    assert (ended(jobs, "a").state, ended(jobs, "a").result) == (DONE, True)
    assert first.state == RUNNING  # what was seen stays as it was seen


def test_a_result_stays_until_it_is_wanted_again_or_too_old() -> None:
    jobs = Jobs()
    assert done(jobs, "a", lambda: 1).result == 1
    assert done(jobs, "a", lambda: 2).result == 1
    assert done(jobs, "a", lambda: 2, again=True).result == 2
    assert done(jobs, "a", lambda: 3, NOW + KEPT + timedelta(seconds=1)).result == 3


def test_old_jobs_are_forgotten_but_not_those_at_work() -> None:
    jobs, go = Jobs(), threading.Event()
    done(jobs, "old", lambda: 1)
    slow = jobs.start("slow", lambda: go.wait(10), NOW)
    done(jobs, "new", lambda: 1, NOW + KEPT * 2)
    assert (jobs.found("old"), jobs.found("slow")) == (None, slow)
    go.set()
    assert ended(jobs, "slow").state == DONE


def test_an_error_of_ours_is_kept_as_it_is() -> None:
    error = StopError("The portal is gone", why="nobody knows", fix="ask somebody")
    job = done(Jobs(), "a", raising(error))
    assert (job.state, job.error) == (FAILED, error)


def test_a_mistake_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    job = done(Jobs(), "a", raising(KeyError("secret")))
    assert job.state == FAILED
    assert job.error is not None
    assert "secret" not in str(job.error)
    assert "the job a failed" in caplog.text


def test_only_some_are_at_work_at_once() -> None:
    jobs, go, working = Jobs(), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        working.release()
        go.wait(10)

    keys = [str(number) for number in range(AT_ONCE + 2)]
    for key in keys:
        jobs.start(key, work, NOW)
    for _ in range(AT_ONCE):
        assert working.acquire(timeout=10)
    assert not working.acquire(timeout=0.2)
    go.set()
    assert all(ended(jobs, key).state == DONE for key in keys)
