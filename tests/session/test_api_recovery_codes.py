"""`account/authenticators/recovery-codes` as clients see it, and how codes show elsewhere."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI

from services.session.main import create_app
from tests.session.house import ADA, PASSWORD, House, Urls, open_house
from tests.session.test_api_contract import Answer, Api, clients, settings_for

CODES = "account/authenticators/recovery-codes"


@pytest.fixture
async def app(house: House) -> AsyncIterator[FastAPI]:
    app = create_app(settings_for(house), house.clock, house.wires)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(params=["app", "browser"])
async def new_client(
    request: pytest.FixtureRequest, app: FastAPI, house: House
) -> AsyncIterator[Callable[[], Api]]:
    async for make in clients(app, house, request.param):
        yield make


@pytest.fixture
def api(new_client: Callable[[], Api]) -> Api:
    return new_client()


async def with_codes(api: Api) -> list[str]:
    """Turn TOTP on, and look at the codes that come along."""
    await api.join()
    await api.protect()
    codes: list[str] = (await api.get(CODES)).body["data"]["unused_codes"]
    return codes


def facts(answer: Answer) -> dict[str, Any]:
    """Return what a list of authenticators says of recovery codes."""
    (found,) = [entry for entry in answer.body["data"] if entry["type"] == "recovery_codes"]
    return dict(found)


async def test_the_codes_are_shown_with_a_sheet_to_keep(api: Api) -> None:
    await api.join()
    assert (await api.get(CODES)).body == {"status": 404}
    await api.protect()
    made_at = api.house.clock().timestamp() - 30

    shown = await api.get(CODES)

    codes = shown.body["data"]["unused_codes"]
    assert len(codes) == 10
    assert all(len(code) == 8 and code.isdigit() for code in codes)
    assert shown.body == {
        "status": 200,
        "data": {
            "type": "recovery_codes",
            "created_at": made_at,
            "last_used_at": None,
            "total_code_count": 10,
            "unused_code_count": 10,
            "recovery_codes_low": False,
            "unused_codes": codes,
        },
        "meta": {
            "recovery_codes_text": f"Recovery codes for {ADA} at localhost\n"
            "As of 2026-05-04\n"
            "\n"
            "Each code works once, in place of the second factor, when you log in\n"
            "and your device is not at hand. Keep them where your device is not.\n"
            "\n" + "".join(f"{code}\n" for code in codes)
        },
    }
    assert "no-store" in shown.headers["cache-control"]
    assert facts(await api.get("account/authenticators"))["unused_code_count"] == 10


async def test_what_is_wrong_is_told_in_the_order_of_the_contract(api: Api) -> None:
    """That there is no factor comes before any proof; that there are no codes, too."""
    await api.get("config")
    nobody = await api.post(CODES)
    assert (nobody.status, nobody.body["meta"]["is_authenticated"]) == (401, False)
    await api.join()
    refused = await api.post(CODES)
    assert refused.body == {
        "status": 400,
        "errors": [
            {
                "message": "You cannot generate recovery codes without having two-factor "
                "authentication enabled.",
                "code": "cannot_generate_recovery_codes",
            }
        ],
    }

    await api.protect()
    api.house.clock.turn(minutes=5)
    for answer in (await api.get(CODES), await api.post(CODES)):
        assert (answer.status, answer.body["meta"]["is_authenticated"]) == (401, True)
        assert [flow["id"] for flow in answer.flows] == ["reauthenticate", "mfa_reauthenticate"]


async def test_new_codes_are_shown_as_they_are_made(api: Api) -> None:
    old = await with_codes(api)

    made = await api.post(CODES)

    new = made.body["data"]["unused_codes"]
    assert made.status == 200
    assert not set(new) & set(old)
    assert made.body["data"]["created_at"] == api.house.clock().timestamp()
    assert all(code in made.body["meta"]["recovery_codes_text"] for code in new)
    assert (await api.get(CODES)).body == made.body


async def test_the_stock_is_told_in_the_list(api: Api) -> None:
    codes = await with_codes(api)
    at = api.house.clock().timestamp()
    for code in codes[:7]:
        proved = await api.post("auth/2fa/reauthenticate", code=code)
        assert proved.body["data"]["methods"][-1]["type"] == "recovery_codes"

    listed = facts(await api.get("account/authenticators"))

    assert (listed["total_code_count"], listed["unused_code_count"]) == (10, 3)
    assert (listed["recovery_codes_low"], listed["last_used_at"]) == (True, at)
    assert "unused_codes" not in listed
    assert "is_confirmed" not in listed


async def test_while_recovery_is_away_it_is_told_as_503(api: Api) -> None:
    """O4: with Retry-After; and TOTP goes on."""
    codes = await with_codes(api)
    api.house.wires["recovery"].break_down()
    for answer in (
        await api.get(CODES),
        await api.post(CODES),
        await api.post("auth/2fa/reauthenticate", code=codes[0]),
    ):
        assert (answer.status, answer.body) == (503, {"status": 503})
        assert int(answer.headers["retry-after"]) > 0

    assert (await api.post("auth/2fa/reauthenticate", code=api.otp())).status == 200
    assert facts(await api.get("account/authenticators"))["unused_code_count"] == 10


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_codes_that_may_not_be_seen_again_are_left_out(urls: Urls, kind: str) -> None:
    """R3: `MFA_RECOVERY_CODES_SHOW_ONCE`, and the sheet with them."""
    async with open_house(urls, mfa_recovery_codes_show_once=True) as house:
        app = create_app(settings_for(house), house.clock, house.wires)
        async with app.router.lifespan_context(app):
            async for make in clients(app, house, kind):
                api = make()
                assert len(await with_codes(api)) == 10
                again = await api.get(CODES)
                assert again.body["data"]["unused_code_count"] == 10
                assert "unused_codes" not in again.body["data"]
                assert "meta" not in again.body


async def test_codes_that_wait_to_be_confirmed_say_so(urls: Urls) -> None:
    """`MFA_RECOVERY_CODES_CONFIRM`: until one has been used they are no way to log in by."""
    async with open_house(urls, mfa_recovery_codes_confirm=True) as house:
        app = create_app(settings_for(house), house.clock, house.wires)
        async with app.router.lifespan_context(app):
            async for make in clients(app, house, "app"):
                api = make()
                codes = await with_codes(api)
                assert facts(await api.get("account/authenticators"))["is_confirmed"] is False
                assert (await api.get(CODES)).body["data"]["is_confirmed"] is False
                await api.log_out()
                pending = await api.post("auth/login", email=ADA, password=PASSWORD)
                assert pending.flows[-1]["types"] == ["totp"]

                assert (await api.post("auth/2fa/authenticate", code=codes[0])).status == 200
                assert "is_confirmed" not in facts(await api.get("account/authenticators"))


async def test_without_them_there_are_no_endpoints_for_codes(house: House) -> None:
    """`MFA_SUPPORTED_TYPES`; and the service is neither called nor asked after."""
    settings = settings_for(house, mfa_supported_types=("totp",))
    app = create_app(settings, house.clock, house.wires)
    assert set(settings.factor_urls) == {"totp"}
    assert [check.name for check in app.state.checks if check.name == "recovery"] == []
    async with app.router.lifespan_context(app):
        async for make in clients(app, house, "app"):
            api = make()
            await api.join()
            await api.protect()
            for answer in (await api.get(CODES), await api.post(CODES)):
                assert answer.body == {"status": 404}
            config = (await api.get("config")).body["data"]["mfa"]
            assert config["supported_types"] == ["totp"]
    assert house.wires["recovery"].requests == []


@pytest.mark.parametrize(
    ("types", "trust", "needed"),
    [
        (("recovery_codes", "totp"), False, {"totp", "recovery"}),
        (("totp",), False, {"totp"}),
        (("totp",), True, {"totp", "recovery"}),
        ((), False, set()),
        (("recovery_codes",), False, {"recovery"}),
    ],
)
def test_factors_are_found_by_the_service_that_keeps_them(
    house: House, types: tuple[str, ...], trust: bool, needed: set[str]
) -> None:
    settings = settings_for(house, mfa_supported_types=types, mfa_trust_enabled=trust)

    assert set(settings.factor_urls) == needed
    assert settings.policy.authenticators == types


def test_unknown_kinds_of_authenticators_are_no_setting(house: House) -> None:
    with pytest.raises(ValueError, match="carrier_pigeon"):
        settings_for(house, mfa_supported_types="totp,carrier_pigeon")
