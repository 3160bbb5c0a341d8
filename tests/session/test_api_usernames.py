"""Usernames over the public API: what clients see."""

import pytest

from tests.session.house import ADA, PASSWORD
from tests.session.making import MakeApi
from tests.session.test_api_contract import Answer, Api

EITHER = {
    "account_login_methods": "username,email",
    "account_signup_fields": "email*,username*,password1*",
}


async def sign_up(api: Api, **names: object) -> Answer:
    """Sign up with these names."""
    await api.get("auth/session")
    return await api.post("auth/signup", **names, password=PASSWORD)


async def test_a_person_is_shown_with_their_username(make_api: MakeApi) -> None:
    api = await make_api(**EITHER)
    await sign_up(api, email=ADA, username="Ada")
    answer = await api.post("auth/email/verify", key=await api.house.code())

    user = answer.body["data"]["user"]
    assert user.pop("id")
    assert user == {
        "display": "Ada",
        "email": ADA,
        "username": "Ada",
        "has_usable_password": True,
    }


async def test_who_has_no_address_is_shown_without_one(make_api: MakeApi) -> None:
    api = await make_api(
        account_login_methods="username",
        account_signup_fields="username*,email,password1*",
        account_email_verification="none",
        account_email_verification_by_code_enabled=False,
        headless_frontend_urls='{"account_confirm_email": "https://app.example.org/{key}"}',
    )
    answer = await sign_up(api, username="Ada")

    user = answer.body["data"]["user"]
    assert answer.status == 200
    assert user.keys() == {"id", "display", "username", "has_usable_password"}


async def test_the_configuration_names_the_methods_of_login(make_api: MakeApi) -> None:
    api = await make_api(**EITHER)
    account = (await api.get("config")).body["data"]["account"]

    assert account["login_methods"] == ["email", "username"]
    assert account["authentication_method"] == "username_email"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({}, ("invalid_login", None)),
        ({"username": "ada", "email": ADA}, ("invalid_login", None)),
        ({"username": "ada"}, ("username_password_mismatch", "password")),
        ({"email": ADA}, ("email_password_mismatch", "password")),
        ({"username": ADA}, ("username_password_mismatch", "password")),
        ({"username": 5}, ("invalid", "username")),
    ],
)
async def test_a_login_says_by_one_name_whose_it_is(
    make_api: MakeApi, names: dict[str, object], code: tuple[str, str | None]
) -> None:
    api = await make_api(**EITHER)
    await api.get("auth/session")
    answer = await api.post("auth/login", **names, password=PASSWORD)

    assert (answer.status, answer.codes) == (400, [code])
