"""Waiting for a condition instead of for a time."""

import time


def eventually(condition, what, seconds=10.0, every=0.02):
    """Polls `condition` until it returns something true, and returns that. Fails with `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what}: not within {seconds} s (last: {value!r})")
        time.sleep(every)


def settled(measure, seconds=10.0, calm=0.3):
    """Polls `measure` until it has not changed for `calm` seconds, and returns it."""
    deadline = time.monotonic() + seconds
    last, since = measure(), time.monotonic()
    while time.monotonic() - since < calm:
        assert time.monotonic() < deadline, f"still changing after {seconds} s: {last!r}"
        time.sleep(0.03)
        now = measure()
        if now != last:
            last, since = now, time.monotonic()
    return last
