"""The list of common passwords: what is on it, what it costs, and that the settings rule it."""

import json
import subprocess
import sys

import pytest

from services.session.flows.outcomes import Refused, Standing
from services.session.gateway.common_passwords import common_passwords
from tests.session.house import House, faults_of
from tests.session.test_api_settings import settings

COST = """
import time, tracemalloc
from services.session.gateway.common_passwords import common_passwords
tracemalloc.start()
common_passwords()
memory, _ = tracemalloc.get_traced_memory()
tracemalloc.stop()
common_passwords.cache_clear()
seconds = []
for _ in range(5):
    began = time.process_time()
    common_passwords()
    seconds.append(time.process_time() - began)
    common_passwords.cache_clear()
print(memory, min(seconds))
"""


def test_the_list_is_long_and_holds_what_can_be_looked_up() -> None:
    listed = common_passwords()

    assert len(listed) >= 20_000
    assert all(entry == entry.lower().strip() and 4 <= len(entry) <= 32 for entry in listed)
    assert listed >= {"123456", "password1", "iloveyou", "qwertyuiop", "michael"}


def test_it_is_read_once_and_costs_little() -> None:
    """Below 6 MB, and 30 ms of a processor at the start of a process."""
    ran = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
    memory, seconds = map(float, ran.stdout.split())

    assert memory < 6_000_000
    assert seconds < 0.03
    assert common_passwords() is common_passwords()


@pytest.mark.parametrize(
    "password", ["password1", "PassWord1", "iloveyou", "ILOVEYOU", "qwertyuiop", "Jennifer"]
)
async def test_nobody_signs_up_with_a_well_known_password(house: House, password: str) -> None:
    house = house.under(settings().policy)

    outcome = await house.visitor().sign_up(password=password)

    assert isinstance(outcome, Refused)
    assert faults_of(outcome) == ["password_too_common"]
    assert await house.mails() == []


async def test_nobody_changes_to_one(house: House) -> None:
    house = house.under(settings().policy)
    ada = await house.visitor().join()

    outcome = await ada.change_password("correct-horse-9", "Sunshine2026!")

    assert faults_of(outcome) == ["password_too_common"]


async def test_an_uncommon_one_is_accepted(house: House) -> None:
    house = house.under(settings().policy)

    assert isinstance(await house.visitor().sign_up(password="tram-window-Oslo"), Standing)


async def test_without_the_validator_the_list_is_not_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `AUTH_PASSWORD_VALIDATORS` does not name is neither read nor asked."""
    named = "django.contrib.auth.password_validation.MinimumLengthValidator"
    monkeypatch.setenv("AUTH_PASSWORD_VALIDATORS", json.dumps([{"NAME": named}]))
    policy = settings().policy

    assert policy.passwords.rules.common == frozenset()
    assert isinstance(await house.under(policy).visitor().sign_up(password="iloveyou"), Standing)
