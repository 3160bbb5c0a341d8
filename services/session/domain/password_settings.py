"""Django's `AUTH_PASSWORD_VALIDATORS`, read into the rules that it stands for."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from services.session.domain.passwords import SIMILARITY, PasswordRules

PACKAGE = "django.contrib.auth.password_validation."
NONE = PasswordRules(min_length=1, similarity=None, refuse_common=False, refuse_numeric=False)
LONGEST = 64  # characters: what NIST SP 800-63B-4 section 3.1.1.2 wants to be possible
LEAST_SIMILARITY = 0.1  # as in Django
DJANGO_MIN_LENGTH = 8


def parse_validators(value: object) -> PasswordRules:
    """Return the rules that a list of validators, or its JSON, asks for: those and no others.

    Raises ValueError for what is not one of Django's four, with options that it has here.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("must be a JSON list") from None
    if not isinstance(value, list):
        raise ValueError("must be a JSON list")  # noqa: TRY004 - pydantic's kind
    rules = NONE
    for entry in value:
        rules = _with(rules, entry)
    return rules


def _with(rules: PasswordRules, entry: object) -> PasswordRules:
    """Return `rules` and what one validator asks for."""
    if not isinstance(entry, Mapping) or not entry.keys() <= {"NAME", "OPTIONS"}:
        raise ValueError('must be a list of {"NAME": …, "OPTIONS": {…}}')
    options = entry.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        raise ValueError("has OPTIONS that are not an object")  # noqa: TRY004 - pydantic's kind
    name = str(entry.get("NAME")).removeprefix(PACKAGE)
    if name not in VALIDATORS:
        raise ValueError(f"has {name}, of {', '.join(VALIDATORS)} that there are")
    known, add = VALIDATORS[name]
    if unknown := sorted(map(str, options.keys() - known)):
        raise ValueError(f"has {name} with {', '.join(unknown)}, which it does not take here")
    return add(rules, options)


def _similarity(rules: PasswordRules, options: Mapping[str, object]) -> PasswordRules:
    limit = options.get("max_similarity", SIMILARITY)
    if not _is_number(limit) or not LEAST_SIMILARITY <= float(str(limit)) <= 1:
        raise ValueError(f"has a max_similarity that is not from {LEAST_SIMILARITY} to 1")
    if options.get("user_attributes", ["email"]) != ["email"]:
        raise ValueError('has user_attributes other than ["email"], which is all that there is')
    return replace(rules, similarity=float(str(limit)))


def _length(rules: PasswordRules, options: Mapping[str, object]) -> PasswordRules:
    length = options.get("min_length", DJANGO_MIN_LENGTH)
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= LONGEST:
        raise ValueError(f"has a min_length that is not from 1 to {LONGEST}")
    return replace(rules, min_length=length)


def _common(rules: PasswordRules, _options: Mapping[str, object]) -> PasswordRules:
    return replace(rules, refuse_common=True)


def _numeric(rules: PasswordRules, _options: Mapping[str, object]) -> PasswordRules:
    return replace(rules, refuse_numeric=True)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Adding = Callable[[PasswordRules, Mapping[str, object]], PasswordRules]
VALIDATORS: Mapping[str, tuple[set[str], Adding]] = {
    "UserAttributeSimilarityValidator": ({"max_similarity", "user_attributes"}, _similarity),
    "MinimumLengthValidator": ({"min_length"}, _length),
    "CommonPasswordValidator": (set(), _common),
    "NumericPasswordValidator": (set(), _numeric),
}
DEFAULT_VALIDATORS = json.dumps([{"NAME": PACKAGE + name} for name in VALIDATORS])
