"""The journey that the whole suite exists for, from sign-up to a login without TOTP again."""

from tests.journeys.client import Answer
from tests.journeys.person import CODES, TOTP, Person


async def walk(person: Person) -> None:
    """Go all the way, checking each answer."""
    await _sign_up(person)
    await _log_in_with_the_password(person)
    await _change_the_password(person)
    await _end_a_session(person)
    await _turn_on_totp(person)
    await _log_in_with_a_recovery_code(person)
    await _log_in_with_totp(person)
    await _turn_off_totp(person)


async def _sign_up(person: Person) -> None:
    client = person.client
    config = await client.get("config")
    assert "totp" in config.body["data"]["mfa"]["supported_types"]
    anonymous = await client.get("auth/session")
    by_passkey = config.body["data"]["mfa"]["passkey_login_enabled"]
    resets = config.body["data"]["account"]["password_reset_by_code_enabled"]
    by_code = config.body["data"]["account"]["login_by_code_enabled"]
    ways = [
        "login",
        *(["login_by_code"] if by_code else []),
        "signup",
        *(["mfa_login_webauthn"] if by_passkey else []),
        *(["password_reset_by_code"] if resets else []),
    ]
    assert (anonymous.status, anonymous.flows, anonymous.pending) == (401, ways, [])
    session = await person.sign_up()
    assert session.body["data"]["user"]["email"] == person.email
    assert (session.methods, session.meta["is_authenticated"]) == ([], True)
    assert ("session_token" in session.meta) is (client.kind == "app")


async def _log_in_with_the_password(person: Person) -> None:
    client = person.client
    ended = await person.log_out()
    assert ended.meta["is_authenticated"] is False
    assert (await client.get("auth/session")).status == 401
    wrong = await client.post("auth/login", {**person.credentials, "password": "wrong"})
    assert (wrong.status, wrong.codes, wrong.params) == (
        400,
        ["email_password_mismatch"],
        ["password"],
    )
    session = await person.log_in()
    assert (session.status, session.methods) == (200, ["password"])
    assert (await client.get("auth/session")).body["data"] == session.body["data"]


async def _change_the_password(person: Person) -> None:
    client, old, path = person.client, person.password, "account/password/change"
    elsewhere = await person.log_in_elsewhere()
    change = {"current_password": old, "new_password": "battery-staple-8"}
    wrong = await client.post(path, {**change, "current_password": "wrong"})
    assert (wrong.status, wrong.codes, wrong.params) == (
        400,
        ["enter_current_password"],
        ["current_password"],
    )
    weak = await client.post(path, {**change, "new_password": "1"})
    assert (weak.status, weak.params[0]) == (400, "new_password")
    changed = await client.post(path, change)
    assert (changed.status, changed.methods) == (200, ["password"])
    person.password = change["new_password"]
    assert (await client.get("auth/session")).body["data"] == changed.body["data"]
    assert (await elsewhere.get("auth/session")).status == _over(client.kind)


async def _end_a_session(person: Person) -> None:
    client = person.client
    elsewhere = await person.log_in_elsewhere()
    listed = (await client.get("auth/sessions")).body["data"]
    assert sorted(session["is_current"] for session in listed) == [False, True]
    other = next(session["id"] for session in listed if not session["is_current"])
    left = await client.call("DELETE", "auth/sessions", {"sessions": [other]})
    assert [session["is_current"] for session in left.body["data"]] == [True]
    again = await client.call("DELETE", "auth/sessions", {"sessions": [other]})
    assert (again.status, again.params) == (400, ["sessions"])
    assert (await elsewhere.get("auth/session")).status == _over(client.kind)
    assert (await client.get("auth/session")).status == 200


def _over(kind: str) -> int:
    """Return the status by which a client of this kind learns that its session has ended."""
    return 410 if kind == "app" else 401


async def _turn_on_totp(person: Person) -> None:
    client = person.client
    assert (await client.get("account/authenticators")).body["data"] == []
    await person.reauthenticate()
    first = await client.get(TOTP)
    second = await client.get(TOTP)
    assert first.meta["secret"] != second.meta["secret"]
    wrong = await client.post(TOTP, {"code": "000000"})
    assert (wrong.status, wrong.codes, wrong.params) == (400, ["incorrect_code"], ["code"])
    enrolled = await person.turn_on_totp()
    assert enrolled.body["data"]["type"] == "totp"
    assert enrolled.meta["recovery_codes_generated"] is True
    assert (await client.get(TOTP)).body["data"] == enrolled.body["data"]
    totp, codes = (await client.get("account/authenticators")).body["data"]
    assert totp == enrolled.body["data"]
    assert (codes["type"], codes["unused_code_count"]) == ("recovery_codes", 10)


async def _log_in_with_a_recovery_code(person: Person) -> None:
    client = person.client
    first = await person.codes()
    renewed = await client.post(CODES)
    codes = renewed.body["data"]["unused_codes"]
    assert (renewed.status, len({*first, *codes})) == (200, 20)
    assert await person.codes() == codes
    await person.log_out()
    assert (await person.log_in()).pending == ["mfa_authenticate"]
    old = await client.post("auth/2fa/authenticate", {"code": first[0]})
    assert (old.status, old.codes) == (400, ["incorrect_code"])
    session = await person.give_code(codes[0])
    assert (session.status, session.methods) == (200, ["password", "mfa"])
    assert session.body["data"]["methods"][-1]["type"] == "recovery_codes"
    again = await client.post("auth/2fa/reauthenticate", {"code": codes[0]})
    assert (again.status, again.codes) == (400, ["incorrect_code"])
    assert (await client.post("auth/2fa/reauthenticate", {"code": codes[1]})).status == 200
    assert await person.codes() == codes[2:]


async def _log_in_with_totp(person: Person) -> None:
    client = person.client
    await person.log_out()
    pending = await person.log_in()
    assert (pending.status, pending.pending) == (401, ["mfa_authenticate"])
    assert pending.types == ["recovery_codes", "totp"]
    assert (await client.get("account/authenticators")).status == 401
    wrong = await client.post("auth/2fa/authenticate", {"code": "000000"})
    assert (wrong.status, wrong.codes) == (400, ["incorrect_code"])
    code = await person.fresh_code()
    session = await client.post("auth/2fa/authenticate", {"code": code})
    if session.status == 401:  # a browser, where browsers can be trusted
        assert session.pending == ["mfa_trust"]
        code, session = await _trust_the_browser(person)
    assert (session.status, session.methods) == (200, ["password", "mfa"])
    again = await client.post("auth/2fa/reauthenticate", {"code": code})
    assert (again.status, again.codes) == (400, ["incorrect_code"])


async def _trust_the_browser(person: Person) -> tuple[str, Answer]:
    """Trust it, come back without a code, and trust it no more; return the last code."""
    client, path = person.client, "account/trusted-browsers"
    session = await client.post("auth/2fa/trust", {"trust": True})
    assert (session.status, session.methods) == (200, ["password", "mfa"])
    await person.log_out()
    back = await person.log_in()
    assert (back.status, back.methods) == (200, ["password"])
    listed = (await client.get(path)).body["data"]
    assert [browser["is_current"] for browser in listed] == [True]
    assert (await client.call("DELETE", path, {"all": True})).body["data"] == []
    await person.log_out()
    assert (await person.log_in()).pending == ["mfa_authenticate"]
    code = await person.fresh_code()
    asked = await client.post("auth/2fa/authenticate", {"code": code})
    assert asked.pending == ["mfa_trust"]
    return code, await client.post("auth/2fa/trust", {"trust": False})


async def _turn_off_totp(person: Person) -> None:
    client = person.client
    early = await client.delete(TOTP)
    assert (early.status, early.flows[:2]) == (401, ["reauthenticate", "mfa_reauthenticate"])
    assert early.meta["is_authenticated"] is True
    code = await person.fresh_code()
    proved = await client.post("auth/2fa/reauthenticate", {"code": code})
    assert (proved.status, proved.methods) == (200, ["password", "mfa", "mfa"])
    assert proved.body["data"]["methods"][-1]["reauthenticated"] is True
    assert (await client.delete(TOTP)).body == {"status": 200}
    assert (await client.delete(TOTP)).body == {"status": 200}
    await person.log_out()
    session = await person.log_in()
    assert (session.status, session.methods) == (200, ["password"])
