from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from platform.accounts import passwords
from tests.waiting import eventually

UNDER_GEVENT = """
from gevent import monkey, spawn, joinall
monkey.patch_all()
import tasks
from argon2 import PasswordHasher
from platform.accounts import passwords

order = []

class Noting(PasswordHasher):
    def hash(self, password, *, salt=None):
        made = super().hash(password, salt=salt)
        order.append("hashed")
        return made

passwords._hasher = Noting()
hashing = spawn(passwords.hash_password, "correct horse")
joinall([hashing, spawn(order.append, "another request")], raise_error=True)
assert passwords.matches("correct horse", hashing.value) and not passwords.matches("wrong horse", hashing.value)
print(*order, sep=", ")
"""


def test_todays_costs_are_argon2id_with_its_recommended_memory() -> None:
    costs = PasswordHasher()  # what the module uses outside these tests; RFC 9106 §4, second recommendation
    assert (costs.type.name, costs.memory_cost, costs.time_cost) == ("ID", 65536, 3)


def test_two_hashes_of_one_password_differ_and_both_match() -> None:
    first, second = passwords.hash_password("correct horse"), passwords.hash_password("correct horse")
    assert first != second
    assert passwords.matches("correct horse", first)
    assert passwords.matches("correct horse", second)


def test_nothing_matches_no_hash() -> None:
    assert not passwords.matches("correct horse", None)


def test_the_stand_in_hash_is_verified_to_the_end() -> None:
    """Refused for its digest, after all the work; not for its form, at once."""
    stand_in = passwords._unmatchable(passwords._hasher)
    assert not passwords.is_outdated(stand_in)
    with pytest.raises(VerifyMismatchError):
        passwords._hasher.verify(stand_in, "correct horse")


@pytest.mark.parametrize("kept", ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "plain"])
def test_a_damaged_hash_matches_nothing(kept: str) -> None:
    assert not passwords.matches("correct horse", kept)


def test_bytes_that_were_no_text_still_make_a_password() -> None:
    kept = passwords.hash_password("\udcff" * 8)
    assert passwords.matches("\udcff" * 8, kept)
    assert not passwords.matches("\udcfe" * 8, kept)


def test_under_gevent_another_request_goes_on_while_one_hashes() -> None:
    done = subprocess.run([sys.executable, "-c", UNDER_GEVENT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("another request, hashed\n", "")


def test_only_a_few_hashes_are_made_at_a_time() -> None:
    running, finish = threading.Semaphore(0), threading.Event()

    def work() -> None:
        running.release()
        finish.wait(30)

    threads = [threading.Thread(target=passwords._beside_the_loop, args=(work,)) for _ in range(passwords.AT_ONCE * 2)]
    for thread in threads:
        thread.start()
    try:
        assert all(running.acquire(timeout=30) for _ in range(passwords.AT_ONCE))
        assert not passwords._turns().acquire(blocking=False)
        assert not running.acquire(blocking=False)
    finally:
        finish.set()
    eventually(lambda: not any(thread.is_alive() for thread in threads))
