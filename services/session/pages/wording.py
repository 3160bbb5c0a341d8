"""What pages say of faults, of what was done, and of what went wrong: in English, to be translated.

The API's own messages are part of its contract and stay as they are. These are for people, and
each says how to go on.
"""

from collections.abc import Mapping

from services.session.gateway.catalogs import marked

FAULTS: Mapping[str, str] = {
    "required": marked("Please fill this in."),
    "max_length": marked("This is too long."),
    "invalid": marked("This cannot be used. Please check it."),
    "null_characters_not_allowed": marked("This cannot be used. Please check it."),
    "incorrect_code": marked("That code is not right. Check it, and try again."),
    "incorrect_password": marked("That password is not right."),
    "email_password_mismatch": marked("The email address or the password is not right."),
    "username_password_mismatch": marked("The username or the password is not right."),
    "username_taken": marked("There is an account with this username already."),
    "username_blacklisted": marked("This username cannot be used. Choose another one."),
    "enter_current_password": marked("That is not your current password."),
    "email_taken": marked("There is an account with this email address already."),
    "unknown_email": marked("There is no account with this email address."),
    "duplicate_email": marked("This is one of your addresses already."),
    "same_as_current": marked("This is the address that you gave before."),
    "max_email_addresses": marked("You have as many addresses as you can. Remove one first."),
    "cannot_remove_primary_email": marked(
        "This is your main address. Make another one your main address first."
    ),
    "unverified_primary_email": marked("Verify this address first."),
    "add_email_blocked": marked(
        "While two-step login is on, no address can be added that is not verified."
    ),
    "unverified_email": marked("Verify your email address first."),
    "invalid_or_expired_key": marked("This link is not good any more. Ask for a new one."),
    "invalid_password_reset": marked("This link is not good any more. Ask for a new one."),
    "too_many_login_attempts": marked("Too many wrong tries. Nothing was checked this time."),
    "rate_limited": marked("That was too often. Nothing was checked this time."),
    "mail_not_sent": marked("No other mail was sent, because there have been enough for now."),
    "cannot_generate_recovery_codes": marked(
        "Recovery codes are for those who have an authenticator app, a security key or a passkey. "
        "Add one first."
    ),
    "cannot_delete_authenticator": marked(
        "You have no password. Without this passkey you could not log in any more. Set a password "
        "or add another passkey first."
    ),
    "too_many_authenticators": marked("You have as many keys as you can. Remove one first."),
    "invalid_choice": marked("It is not there any more."),
    "credential": marked("This key was not accepted. Try again, or use another way."),
    "passkey": marked(
        "This passkey is not known here, or not any more. Log in another way, and add a new one."
    ),
    "password_too_common": marked("Too many people use this password. Choose another one."),
    "password_entirely_numeric": marked("A password cannot be of digits alone."),
    "password_too_similar": marked("This is too much like your email address."),
    "confirm": marked("Please tick the box if you are sure."),
}
"""By the codes of the API's faults, and by some of our own."""

BY_PARAM: Mapping[tuple[str, str | None], str] = {
    ("invalid", "email"): marked("This is no email address, such as name@example.org."),
    ("invalid", "username"): marked(
        "A username is made of letters, digits and @ . + - _, and is no email address."
    ),
    ("min_length", "username"): marked("This is too short."),
    ("incorrect_code", "credential"): FAULTS["credential"],
    ("required", "credential"): FAULTS["credential"],
    ("invalid", "credential"): FAULTS["credential"],
    ("email_taken", "key"): marked("Somebody else has verified this address meanwhile."),
}
"""Where the same code says something else, by what it is about."""

TOO_SHORT = marked("A password has at least %(least)d characters.")
JUST_NOW = marked("just now")
UNKNOWN = marked("This did not work. Please try again.")

NOTICES: Mapping[str, str] = {
    "over": marked("That took too long, or was tried too often. Please start again."),
    "sent": marked("A new code is on its way."),
    "link_sent": marked("A mail with a link is on its way."),
    "logged_out": marked("You are logged out."),
    "email_verified": marked("Your email address is verified."),
    "email_added": marked("The address was added. Follow the link that we have mailed to it."),
    "email_removed": marked("The address was removed."),
    "email_primary": marked("This is your main address now."),
    "password_changed": marked("Your password was changed. All other sessions have ended."),
    "password_set": marked("You have a password now."),
    "password_reset": marked("Your password was reset. Log in with it now."),
    "totp_added": marked("Your authenticator app is set up."),
    "totp_removed": marked("Your authenticator app was removed."),
    "key_added": marked("Your key was added."),
    "key_renamed": marked("Your key has a new name."),
    "key_removed": marked("Your key was removed."),
    "codes_missing": marked(
        "Recovery codes could not be made just now. Make them here in a while."
    ),
    "trust_removed": marked("This browser is not trusted any more."),
    "trust_all_removed": marked("No browser is trusted any more."),
    "session_ended": marked("The session has ended."),
    "sessions_ended": marked("All sessions have ended. Please log in again."),
    "deleted": marked("Your account was deleted. A mail confirms it."),
    "reauthenticated": marked("Thank you. You can go on now."),
}
"""What the next page says that something was done: only these, by words in a cookie."""

PROBLEMS: Mapping[str, tuple[str, str]] = {
    "internal_error": (
        marked("Something went wrong here"),
        marked("The mistake is ours, not yours, and has been recorded. Try again in a moment."),
    ),
    "unavailable": (
        marked("This does not work just now"),
        marked(
            "A part of the service is away, and nothing was changed. Try again in a moment, or use "
            "another way."
        ),
    ),
    "not_found": (
        marked("There is no such page"),
        marked("The link may be old, or was copied in part."),
    ),
    "stale_form": (
        marked("This page was open for too long"),
        marked("Nothing was changed. Open the page again, and let your browser keep cookies."),
    ),
    "body_too_large": (
        marked("That was too much"),
        marked("What you have sent is larger than anything that is needed here."),
    ),
}
OTHER_PROBLEM = (
    marked("This did not work"),
    marked("What your browser has sent cannot be read. Open the page again."),
)
"""What there is to say where there is no page to say it on: a title, and a sentence."""

KINDS: Mapping[str, str] = {
    "totp": marked("Authenticator app"),
    "webauthn": marked("Security key or passkey"),
    "recovery_codes": marked("Recovery codes"),
}
"""What kinds of authenticators are called."""


def said(code: str, param: str | None) -> str:
    """Return what is said of a fault, in English."""
    return BY_PARAM.get((code, param)) or FAULTS.get(code, UNKNOWN)
