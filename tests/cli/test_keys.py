"""The keys of the suite: made once, private, and fitting each other."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.environment import KEY_FILES
from services.cli.keys import find_problems, keys, make
from services.session.domain.token_keys import parse_signing_key
from services.session.domain.token_strategy import Algorithm
from services.suite import ALL
from shared import auth, cipher


def test_all_keys_are_made_and_fit_each_other(tmp_path: Path) -> None:
    """D1: each service seals under a key of its own, made at first start."""
    make(tmp_path / "keys")

    assert not list(find_problems(tmp_path / "keys"))


def test_the_services_can_read_what_is_made(tmp_path: Path) -> None:
    make(tmp_path)

    callers = auth.PublicKeys.parse((tmp_path / "public/callers.json").read_text())
    private = auth.PrivateKey.parse((tmp_path / "session/caller.json").read_text())
    ring = cipher.KeyRing.parse((tmp_path / "totp/sealing.json").read_text())

    assert {key.issuer for key in callers.values()} == {"session", "operator"}
    assert private.issuer == "session"
    assert ring.primary in ring.keys


def test_nobody_else_on_the_machine_can_read_them(tmp_path: Path) -> None:
    make(tmp_path / "keys")

    for path in [tmp_path / "keys", *(tmp_path / "keys").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_keys_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    make(tmp_path)
    before = {name: (tmp_path / name).read_text() for name in KEY_FILES.values()}

    assert make(tmp_path) == []
    assert {name: (tmp_path / name).read_text() for name in KEY_FILES.values()} == before


@pytest.mark.parametrize("service", [service.name for service in ALL if service.keys])
def test_a_service_that_came_later_gets_its_keys(tmp_path: Path, service: str) -> None:
    """The keys of a suite that has run stay as they are; what others check by learns of it."""
    make(tmp_path)
    shutil.rmtree(tmp_path / service)
    for public in (tmp_path / "public").iterdir():
        listed = json.loads(public.read_text())
        public.write_text(
            json.dumps({name: key for name, key in listed.items() if key["issuer"] != service})
        )
    old = {
        path: path.read_text() for path in tmp_path.glob("*/*.json") if path.parent.name != "public"
    }

    ended = CliRunner().invoke(keys, ["init", "--dir", str(tmp_path)])

    made = [Path(line.removeprefix("made ")) for line in ended.output.splitlines()]
    assert {path.parent.name for path in made} == {service, "public"}
    assert {path: path.read_text() for path in old} == old
    assert not list(find_problems(tmp_path))


def test_a_public_key_of_before_a_rotation_stays(tmp_path: Path) -> None:
    make(tmp_path)
    old = json.loads((tmp_path / "public/events.json").read_text())
    (tmp_path / "totp/event.json").unlink()

    make(tmp_path)

    new = json.loads((tmp_path / "public/events.json").read_text())
    assert old.items() < new.items()
    assert not list(find_problems(tmp_path))


@pytest.mark.parametrize("name", sorted(KEY_FILES.values()))
def test_a_missing_key_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).unlink()

    assert any(name in problem for problem in find_problems(tmp_path))


@pytest.mark.parametrize("name", sorted(KEY_FILES.values()))
def test_a_key_that_others_can_read_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).chmod(0o640)

    assert [problem for problem in find_problems(tmp_path) if name in problem]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"kid": 1, "key": 2, "keys": 3}', '{"primary": "a", "keys": {}}']
)
def test_what_is_no_key_is_named(tmp_path: Path, content: str) -> None:
    make(tmp_path)
    private = [name for name in KEY_FILES.values() if not name.startswith("public")]
    for name in private:
        (tmp_path / name).write_text(content)

    problems = list(find_problems(tmp_path))

    assert all(any(name in problem for problem in problems) for name in private)


def test_a_pair_that_does_not_fit_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    listed = json.loads((tmp_path / "public/callers.json").read_text())
    (tmp_path / "public/callers.json").write_text(
        json.dumps({name: key for name, key in listed.items() if key["issuer"] != "session"})
    )

    assert [problem for problem in find_problems(tmp_path) if "session/caller.json" in problem]


def test_the_commands_make_and_check(tmp_path: Path) -> None:
    run = CliRunner()

    missing = run.invoke(keys, ["check", "--dir", str(tmp_path / "keys")])
    made = run.invoke(keys, ["init", "--dir", str(tmp_path / "keys")])
    checked = run.invoke(keys, ["check", "--dir", str(tmp_path / "keys")])

    assert (missing.exit_code, made.exit_code, checked.exit_code) == (1, 0, 0)
    assert "countersign keys init" in missing.output
    assert "fit each other" in checked.output


# The key of tokens


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_key_for_tokens_is_made_once_where_they_are_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: Algorithm
) -> None:
    """D1: of each algorithm another, and nothing has to be done by hand."""
    monkeypatch.setenv("HEADLESS_TOKEN_STRATEGY", "jwt")
    monkeypatch.setenv("HEADLESS_JWT_ALGORITHM", algorithm)
    run, here = CliRunner(), ["--dir", str(tmp_path)]
    path = tmp_path / f"session/tokens-{algorithm}.pem"

    first = run.invoke(keys, ["init", *here])
    pem = path.read_text()
    second = run.invoke(keys, ["init", *here])

    assert f"made {path}" in first.output
    assert second.output == ""
    assert path.read_text() == pem
    assert path.stat().st_mode & 0o077 == 0
    assert parse_signing_key(pem, algorithm).public.algorithm is algorithm
    assert run.invoke(keys, ["check", *here]).exit_code == 0


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"HEADLESS_TOKEN_STRATEGY": "sessions"},
        {"HEADLESS_TOKEN_STRATEGY": "jwt", "HEADLESS_JWT_ALGORITHM": "HS256"},
        {"HEADLESS_TOKEN_STRATEGY": "jwt", "HEADLESS_JWT_ALGORITHM": "../../x"},
        {"HEADLESS_TOKEN_STRATEGY": "jwt", "HEADLESS_JWT_PRIVATE_KEY": "given"},
        {"HEADLESS_TOKEN_STRATEGY": "jwt", "HEADLESS_JWT_PRIVATE_KEY_FILE": "/run/secrets/key"},
    ],
)
def test_no_key_for_tokens_is_made_where_none_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, str]
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)

    made = CliRunner().invoke(keys, ["init", "--dir", str(tmp_path)])

    assert made.exit_code == 0
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == set(
        KEY_FILES.values()
    )


def test_what_is_wrong_with_the_key_for_tokens_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADLESS_TOKEN_STRATEGY", "jwt")
    run, here = CliRunner(), ["--dir", str(tmp_path)]
    run.invoke(keys, ["init", *here])
    path = tmp_path / "session/tokens-EdDSA.pem"

    path.chmod(0o640)
    assert f"{path} is open to other users" in run.invoke(keys, ["check", *here]).output
    path.write_text("canary")
    broken = run.invoke(keys, ["check", *here])
    assert f"{path} must be a private key in PEM" in broken.output
    assert "canary" not in broken.output
    path.unlink()
    assert f"{path} is missing" in run.invoke(keys, ["check", *here]).output
