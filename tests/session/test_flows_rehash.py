"""A password is hashed as it is done now, when its owner logs in."""

from dataclasses import replace

import httpx

from services.session.flows import PasswordHasher
from services.session.flows.outcomes import Standing
from services.session.main import create_app
from tests.session.house import ADA, PASSWORD, House, faults_of, make_flows
from tests.session.test_api_contract import settings_for

NOW = "t=2,p=1"


async def outdated(house: House) -> str:
    """Let somebody sign up before the parameters change, and return the hash of then."""
    await (await house.visitor().join()).log_out()
    hasher = PasswordHasher(queue=10, threads=1, memory=8, passes=2)
    house.flows = make_flows(house.db, house.factors, house.clock, hasher)
    return str((await house.user()).password_hash)


async def test_a_login_renews_a_hash_of_other_parameters(house: House) -> None:
    before = await outdated(house)
    assert NOW not in before

    assert isinstance(await house.visitor().log_in(), Standing)
    renewed = (await house.user()).password_hash
    assert NOW in renewed

    assert isinstance(await house.visitor().log_in(), Standing)
    assert (await house.user()).password_hash == renewed


async def test_passwords_are_hashed_as_is_set(house: House) -> None:
    settings = settings_for(house, password_hash_memory=12288, password_hash_passes=3)
    app = create_app(settings, house.clock, house.wires)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost:8000"
        ) as http,
    ):
        body = {"email": ADA, "password": PASSWORD}
        await http.post("/_allauth/app/v1/auth/signup", json=body)

    assert "$m=12288,t=3,p=1$" in (await house.user()).password_hash


async def test_a_wrong_password_renews_nothing(house: House) -> None:
    before = await outdated(house)

    assert faults_of(await house.visitor().log_in(password="wrong"))

    assert (await house.user()).password_hash == before


async def test_a_password_that_was_changed_meanwhile_stays_changed(house: House) -> None:
    """N4: a login with the old one does not bring it back."""
    before = await outdated(house)
    account = await house.account()
    hasher = PasswordHasher(queue=10, threads=1, memory=8, passes=2)
    late = replace(account, password_hash=await hasher.hash("another-horse-8"))

    await house.store.write(
        house.store.account_stands(account),
        house.store.replace_hash(late, await hasher.hash(PASSWORD)),
    )

    hasher.close()
    assert (await house.user()).password_hash == before
