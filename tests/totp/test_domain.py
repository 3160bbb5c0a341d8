"""The rules of TOTP against the vectors of the standard, and against everything else."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pyotp
import pytest
import qrcode
from hypothesis import given
from hypothesis import strategies as st

from services.totp.domain.codes import (
    SECRET_BYTES,
    Algorithm,
    Policy,
    current_step,
    is_bypass,
    match_step,
    new_secret,
    otpauth_url,
    readable,
)
from services.totp.domain.qr import LEVEL, MARGIN, MASK, qr_svg
from shared.code_form import SEPARATORS

# RFC 6238 Appendix B. Its text gives the seeds per hash: erratum 2866.
SEEDS = {
    Algorithm.SHA1: b"12345678901234567890",
    Algorithm.SHA256: b"12345678901234567890123456789012",
    Algorithm.SHA512: b"1234567890123456789012345678901234567890123456789012345678901234",
}
VECTORS = [
    (59, "94287082", Algorithm.SHA1),
    (59, "46119246", Algorithm.SHA256),
    (59, "90693936", Algorithm.SHA512),
    (1111111109, "07081804", Algorithm.SHA1),
    (1111111109, "68084774", Algorithm.SHA256),
    (1111111109, "25091201", Algorithm.SHA512),
    (1111111111, "14050471", Algorithm.SHA1),
    (1111111111, "67062674", Algorithm.SHA256),
    (1111111111, "99943326", Algorithm.SHA512),
    (1234567890, "89005924", Algorithm.SHA1),
    (1234567890, "91819424", Algorithm.SHA256),
    (1234567890, "93441116", Algorithm.SHA512),
    (2000000000, "69279037", Algorithm.SHA1),
    (2000000000, "90698825", Algorithm.SHA256),
    (2000000000, "38618901", Algorithm.SHA512),
    (20000000000, "65353130", Algorithm.SHA1),
    (20000000000, "77737706", Algorithm.SHA256),
    (20000000000, "47863826", Algorithm.SHA512),
]

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
policies = st.builds(
    Policy,
    digits=st.integers(6, 10),
    period=st.integers(5, 300),
    algorithm=st.sampled_from(Algorithm),
)
secrets = st.binary(min_size=16, max_size=64)
tolerances = st.integers(0, 3)


def code_at(secret: bytes, step: int, policy: Policy) -> str:
    """Return a code as a device makes it."""
    digest = {
        Algorithm.SHA1: hashlib.sha1,
        Algorithm.SHA256: hashlib.sha256,
        Algorithm.SHA512: hashlib.sha512,
    }
    device = pyotp.HOTP(readable(secret), digits=policy.digits, digest=digest[policy.algorithm])
    return device.at(step)


@pytest.mark.parametrize(("seconds", "code", "algorithm"), VECTORS)
def test_the_vectors_of_rfc_6238_match(seconds: int, code: str, algorithm: Algorithm) -> None:
    policy = Policy(digits=8, period=30, algorithm=algorithm)
    now = datetime.fromtimestamp(seconds, UTC)

    assert match_step(SEEDS[algorithm], code, now, policy, 0) == seconds // 30


@given(secrets, moments, policies, tolerances, st.integers(-10, 10))
def test_a_code_matches_within_the_tolerance_and_not_beyond(
    secret: bytes, now: datetime, policy: Policy, tolerance: int, distance: int
) -> None:
    """T5: a code is accepted up to `tolerance` steps either side of now."""
    step = max(0, current_step(now, policy) + distance)
    code = code_at(secret, step, policy)

    matched = match_step(secret, code, now, policy, tolerance)

    distance = step - current_step(now, policy)
    if abs(distance) <= tolerance:
        assert matched is not None
        assert code_at(secret, matched, policy) == code
    else:  # or by chance
        assert matched is None or code_at(secret, matched, policy) == code


@given(secrets, moments, policies, tolerances, st.text())
def test_no_text_breaks_the_rules(
    secret: bytes, now: datetime, policy: Policy, tolerance: int, text: str
) -> None:
    """T3: whatever is typed is judged, and nothing but ASCII digits can match."""
    step = match_step(secret, text, now, policy, tolerance)

    if step is not None:
        assert re.fullmatch(r"[0-9]+", SEPARATORS.sub("", text), re.ASCII)


@given(st.text(alphabet=st.characters(categories=["Nd", "No", "Nl"]), min_size=6, max_size=6))
def test_only_ascii_digits_are_digits(text: str) -> None:
    """T3: digits of other scripts are none, though `str.isdigit` and `int` take them."""
    assert (Policy().code_form.normalise(text) == text) == text.isascii()


@given(st.integers(0, 999_999), st.data())
def test_every_notation_of_a_code_is_one_code(number: int, data: st.DataObject) -> None:
    """T3: spaces and dashes make no difference."""
    code = f"{number:06}"
    gaps = data.draw(st.lists(st.text(" -", max_size=3), min_size=7, max_size=7))
    written = "".join(gap + digit for gap, digit in zip(gaps, code + " ", strict=True))

    assert Policy().code_form.normalise(written) == code


def test_a_secret_has_160_random_bits() -> None:
    """T6: 160 bits (RFC 4226 R6), a new one each time."""
    made = {new_secret() for _ in range(100)}

    assert len(made) == 100
    assert {len(secret) for secret in made} == {SECRET_BYTES} == {20}


@given(secrets, st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64), policies)
def test_a_key_uri_reads_back_as_it_was_written(
    secret: bytes, account: str, issuer: str, policy: Policy
) -> None:
    """T11: label and issuer are percent-encoded, no colon in either, one secret."""
    try:
        account.encode(), issuer.encode()
    except UnicodeEncodeError:
        return  # half characters are refused at the edge

    parts = urlsplit(otpauth_url(secret, account_name=account, issuer=issuer, policy=policy))

    label = parts.path.removeprefix("/").split(":")
    query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    assert [unquote(part) for part in label] == [
        issuer.replace(":", " "),
        account.replace(":", " "),
    ]
    assert query.pop("secret") == [readable(secret)]
    assert query.pop("issuer") == [issuer.replace(":", " ")]
    assert query.pop("algorithm", ["SHA1"]) == [policy.algorithm]
    assert query.pop("digits", ["6"]) == [str(policy.digits)]
    assert query.pop("period", ["30"]) == [str(policy.period)]
    assert not query


def test_a_device_makes_good_codes_from_the_key_uri() -> None:
    secret, now = new_secret(), datetime(2026, 5, 4, tzinfo=UTC)
    for algorithm in Algorithm:
        policy = Policy(digits=8, period=60, algorithm=algorithm)
        url = otpauth_url(secret, account_name="ada@example.com", issuer="Acme", policy=policy)

        device = pyotp.parse_uri(url)

        assert isinstance(device, pyotp.TOTP)
        assert match_step(secret, device.at(now), now, policy, 0) == int(now.timestamp()) // 60


def test_a_qr_code_is_small_markup_and_the_same_each_time() -> None:
    """T11: the QR code is in the answer itself, and refers to nothing outside."""
    url = otpauth_url(
        bytes(20), account_name="ada@example.com", issuer="Countersign", policy=Policy()
    )

    svg = qr_svg(url)

    root = ET.fromstring(svg)  # noqa: S314 our own markup
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg == qr_svg(url)
    assert len(svg) < 16_000
    assert svg.count("http") == 1  # the namespace


def test_a_qr_code_has_its_finders_and_its_margin() -> None:
    svg = qr_svg("otpauth://totp/x?secret=ABC")
    size = int(re.findall(r"viewBox=\"0 0 (\d+)", svg)[0])
    dark = {
        (x, int(y))
        for start, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1", svg)
        for x in range(int(start), int(start) + int(length))
    }

    assert {x for x, _ in dark} | {y for _, y in dark} <= set(range(4, size - 4))
    for left, top in ((4, 4), (size - 11, 4), (4, size - 11)):
        ring = {(left + i, top) for i in range(7)} | {(left, top + i) for i in range(7)}
        assert ring <= dark
        assert (left + 1, top + 1) not in dark


@pytest.mark.parametrize("length", [1, 17, 18, 106, 107, 134, 230, 231, 271, 272, 400])
def test_a_qr_code_is_what_the_library_makes_of_the_text(length: int) -> None:
    """At lengths that just fit, or just do not: one block or several, short length or long."""
    text = ("otpauth://totp/é?secret=ABC" * 20)[:length]
    code = qrcode.QRCode(error_correction=LEVEL, border=MARGIN, mask_pattern=MASK)
    code.add_data(text.encode(), optimize=0)
    code.make(fit=True)

    rows = ["".join("1" if dark else "0" for dark in row) for row in code.get_matrix()]
    runs = [
        (run.start(), y, run.end() - run.start())
        for y, row in enumerate(rows)
        for run in re.finditer("1+", row)
    ]
    drawn = re.findall(r"M(\d+) (\d+)h(\d+)v1", qr_svg(text))

    assert drawn == [tuple(map(str, run)) for run in runs]


def test_the_bypass_code_is_off_when_empty() -> None:
    assert not is_bypass("", "")
    assert is_bypass("000000", "000000")
    assert not is_bypass("ÿ", "000000")


@given(moments, policies)
def test_a_step_lasts_its_period(now: datetime, policy: Policy) -> None:
    step = current_step(now, policy)

    assert current_step(now + timedelta(seconds=policy.period), policy) == step + 1
