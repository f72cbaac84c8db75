"""Soon after work, slower and slower without, and slower still after errors."""

from __future__ import annotations

from platform.polling.pace import Pace


def pace(active_s: float = 0.1, idle_s: float = 5.0, random: float = 0.0) -> Pace:
    return Pace(active_s, idle_s, random=lambda: random)


def test_after_work_the_next_batch_comes_soon() -> None:
    own = pace()
    assert [own.after_batch(n) for n in (0, 0, 3, 1)] == [0.1, 0.2, 0.1, 0.1]


def test_without_work_the_waits_double_up_to_the_longest() -> None:
    own = pace()
    assert [own.after_batch(0) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_work_starts_the_waits_again() -> None:
    own = pace()
    for done in (0, 0, 0, 1):
        own.after_batch(done)
    assert own.after_batch(0) == 0.1


def test_a_worker_that_never_waits_after_work_still_slows_down_without() -> None:
    own = pace(active_s=0)
    assert (own.after_batch(1), own.after_batch(0), own.after_batch(0)) == (0, 0.01, 0.02)


def test_errors_wait_from_one_second_to_five_minutes() -> None:
    own = pace()
    assert [own.after_error() for _ in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert max(own.after_error() for _ in range(5000)) == 300


def test_a_success_resets_the_backoff() -> None:
    own = pace()
    own.after_error()
    own.after_error()
    own.after_batch(0)
    assert own.after_error() == 1


def test_jitter_only_shortens_and_never_below_a_second_after_an_error() -> None:
    own = pace(random=1.0)
    assert own.after_batch(0) == 0.1 * 0.75
    assert [own.after_error() for _ in range(3)] == [1, 1.5, 3]
