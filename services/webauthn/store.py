"""Where credentials and challenges are kept. Every statement of the service is here.

Nothing is sealed: a public key is no secret, and a challenge is good in one session alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from services.webauthn.domain.assertion import Assertion, Challenge, Credential
from services.webauthn.domain.options import Descriptor
from services.webauthn.domain.policy import Use
from services.webauthn.domain.registration import Enrolment, Registration
from shared.clock import from_micros, to_micros
from shared.database import Change, Database, Row, Statement, also, step
from shared.errors import Conflict
from shared.event import Event
from shared.outbox import outbox_tables

SWEPT_AT_ONCE = 500  # expired rows; a delete without bound would hold its locks for long

Upsert = postgresql.Insert | sqlite.Insert

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("handle", LargeBinary, nullable=False),  # what authenticators know the person by
    UniqueConstraint("handle", name="users_handle"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("credential_id", LargeBinary, nullable=False),
    Column("rp_id", Text),  # whom it was made for; null if it was not kept then
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("algorithm", Integer, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("aaguid", Text, nullable=False),
    Column("provider", Text),
    Column("name", Text, nullable=False),
    Column("transports", Text, nullable=False),  # JSON
    Column("discoverable", SmallInteger),  # as the browser said; null if it did not
    Column("user_verified", SmallInteger, nullable=False),  # at registration
    Column("serves_alone", SmallInteger, nullable=False, server_default="0"),  # asked for so
    Column("backup_eligible", SmallInteger, nullable=False),
    Column("backed_up", SmallInteger, nullable=False),
    Column("attestation", Text, nullable=False),  # the format
    Column("attested", SmallInteger, nullable=False),  # its maker vouched for it
    Column("key_identifier", Text),  # of the attestation key, if it has no AAGUID
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    # Who enrolled it and with which proof: so that its completion can be repeated.
    Column("enrolled_session", Text, nullable=False),
    Column("enrolled_proof", LargeBinary, nullable=False),
    UniqueConstraint("credential_id", name="credentials_credential"),
    Index("credentials_user", "user_id"),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("challenge", LargeBinary, nullable=False),
    Column("passwordless", SmallInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("user_id", "session_id", name="enrolments_user_session"),
    Index("enrolments_expiry", "expires_at"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("user_id", Text),
    Column("challenge", LargeBinary, nullable=False),
    Column("verification_required", SmallInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("challenges_user", "user_id"),
    Index("challenges_expiry", "expires_at"),
)

outbox_tables(metadata)

SHOWN = (
    credentials.c.id,
    credentials.c.credential_id,
    credentials.c.rp_id,
    credentials.c.aaguid,
    credentials.c.provider,
    credentials.c.name,
    credentials.c.transports,
    credentials.c.discoverable,
    credentials.c.user_verified,
    credentials.c.serves_alone,
    credentials.c.backup_eligible,
    credentials.c.backed_up,
    credentials.c.attested,
    credentials.c.created_at,
    credentials.c.last_used_at,
    users.c.handle,
)

WITH_HANDLE = credentials.join(users, users.c.user_id == credentials.c.user_id)

AUTHENTICATORS = Statement(
    select(*SHOWN)
    .select_from(WITH_HANDLE)
    .where(credentials.c.user_id == bindparam("user_id"))
    .order_by(credentials.c.created_at, credentials.c.id)
)

NAMES = Statement(select(credentials.c.name).where(credentials.c.user_id == bindparam("user_id")))

OWN = (credentials.c.id == bindparam("id"), credentials.c.user_id == bindparam("user_id"))

WRITTEN = (
    *SHOWN[:-1],
    select(users.c.handle)
    .where(users.c.user_id == bindparam("user_id"))
    .scalar_subquery()
    .label("handle"),
)

RENAME = Statement(
    update(credentials).where(*OWN).values(name=bindparam("name")).returning(*WRITTEN)
)

REMOVE = Statement(delete(credentials).where(*OWN))

THIS_ENROLMENT = (enrolments.c.id == bindparam("id"), enrolments.c.user_id == bindparam("user_id"))

PENDING = Statement(
    select(enrolments.c.challenge, enrolments.c.passwordless).where(
        *THIS_ENROLMENT,
        enrolments.c.session_id == bindparam("session_id"),
        enrolments.c.expires_at > bindparam("now"),
    )
)

COMPLETED = Statement(
    select(*SHOWN)
    .select_from(WITH_HANDLE)
    .where(
        *OWN,
        credentials.c.enrolled_session == bindparam("session_id"),
        credentials.c.enrolled_proof == bindparam("proof"),
        credentials.c.created_at > bindparam("since"),
    )
)

TAKE_ENROLMENT = Statement(
    delete(enrolments).where(
        *THIS_ENROLMENT,
        enrolments.c.session_id == bindparam("session_id"),
        enrolments.c.challenge == bindparam("challenge"),
        enrolments.c.expires_at > bindparam("now"),
    )
)

ADD = Statement(
    insert(credentials)
    .values({name: bindparam(name) for name in credentials.columns.keys()})  # noqa: SIM118
    .returning(*WRITTEN)
)

DROP_ENROLMENT = Statement(delete(enrolments).where(*THIS_ENROLMENT))

DROP_ENROLMENTS = Statement(delete(enrolments).where(enrolments.c.user_id == bindparam("user_id")))

DROP_CHALLENGES = Statement(delete(challenges).where(challenges.c.user_id == bindparam("user_id")))

DROP_CREDENTIALS = Statement(
    delete(credentials).where(credentials.c.user_id == bindparam("user_id"))
)

DROP_USER = Statement(delete(users).where(users.c.user_id == bindparam("user_id")))

THIS_CHALLENGE = (
    challenges.c.session_id == bindparam("session_id"),
    challenges.c.purpose == bindparam("purpose"),
)

JUDGED = Statement(
    select(
        challenges.c.challenge,
        challenges.c.user_id.label("asked"),
        challenges.c.verification_required,
        credentials.c.id,
        credentials.c.user_id,
        credentials.c.public_key,
        credentials.c.sign_count,
        credentials.c.aaguid,
        credentials.c.serves_alone,
        credentials.c.backup_eligible,
        credentials.c.backed_up,
        credentials.c.attested,
        credentials.c.key_identifier,
        users.c.handle,
    )
    .select_from(
        challenges.outerjoin(WITH_HANDLE, credentials.c.credential_id == bindparam("credential_id"))
    )
    .where(*THIS_CHALLENGE, challenges.c.expires_at > bindparam("now"))
)

TAKE_CHALLENGE = Statement(
    delete(challenges).where(
        *THIS_CHALLENGE,
        challenges.c.challenge == bindparam("challenge"),
        challenges.c.expires_at > bindparam("now"),
    )
)

DROP_CHALLENGE = Statement(delete(challenges).where(*THIS_CHALLENGE))

# The counter is compared again, with what is stored by now: of two assertions at once, or of a
# key and its copy, the lower one comes too late. It never goes back, so that a copy stays known.
USE = Statement(
    update(credentials)
    .where(
        credentials.c.id == bindparam("id"),
        or_(
            credentials.c.sign_count < bindparam("received"),
            and_(credentials.c.sign_count == 0, bindparam("received", type_=BigInteger) == 0),
            bindparam("regression_allowed", type_=Integer) == 1,
        ),
    )
    .values(
        sign_count=case(
            (credentials.c.sign_count > bindparam("received"), credentials.c.sign_count),
            else_=bindparam("received", type_=BigInteger),
        ),
        backed_up=bindparam("backed_up"),
        last_used_at=bindparam("now"),
    )
)


def _sweep(table: Table) -> Statement:
    """Delete what has expired, a bounded number at once."""
    key = list(table.primary_key.columns)
    expired = select(*key).where(table.c.expires_at <= bindparam("now"))
    limited = expired.limit(literal_column(str(SWEPT_AT_ONCE))).subquery()
    same = and_(*(column == limited.c[column.name] for column in key))
    return Statement(delete(table).where(select(literal_column("1")).where(same).exists()))


SWEEPS = (_sweep(enrolments), _sweep(challenges))


def _listed(as_json: ColumnElement[str]) -> ColumnElement[str]:
    """Return those of the credentials `ids` that are the user's, as one JSON text."""
    return (
        select(as_json)
        .where(
            credentials.c.user_id == bindparam("user_id"),
            credentials.c.id.in_(bindparam("ids")),
        )
        .scalar_subquery()
        .label("listed")
    )


_id, _how, _at = credentials.c.credential_id, credentials.c.transports, credentials.c.created_at
LISTED_POSTGRESQL = _listed(
    cast(func.json_agg(func.json_build_array(func.encode(_id, "hex"), _how, _at)), Text)
)
LISTED_SQLITE = _listed(func.json_group_array(func.json_array(func.hex(_id), _how, _at)))


def _named(upsert: Upsert) -> Upsert:
    """Name the values of every column, so that what is returned can use them too."""
    return upsert.values({name: bindparam(name) for name in upsert.table.columns.keys()})  # noqa: SIM118


def _know(upsert: Upsert, listed: ColumnElement[str]) -> ClauseElement:
    """Return the handle of a user, who gets one the first time, and the credentials `ids`."""
    return (
        _named(upsert)
        .on_conflict_do_update(
            index_elements=["user_id"], set_={"user_id": upsert.excluded.user_id}
        )
        .returning(users.c.handle, listed)
    )


KNOW = Statement(
    postgresql=_know(postgresql.insert(users), LISTED_POSTGRESQL),
    sqlite=_know(sqlite.insert(users), LISTED_SQLITE),
)


def _replace(upsert: Upsert, place: list[str], *returned: ColumnElement[str]) -> ClauseElement:
    """Write a row in the place of the session's last one."""
    changing = [column.name for column in upsert.table.columns if column.name not in place]
    written = _named(upsert).on_conflict_do_update(
        index_elements=place, set_={name: upsert.excluded[name] for name in changing}
    )
    return written.returning(*returned) if returned else written


def _begin(insertion: Upsert) -> ClauseElement:
    """Open an enrolment in place of the session's last, unless it has become what it is for.

    No row is inserted or changed then.
    """
    done = exists().where(credentials.c.id == bindparam("id", type_=Text()))
    values = [bindparam(column.name, type_=column.type) for column in enrolments.c]
    upsert = insertion.from_select(enrolments.c.keys(), select(*values).where(~done))
    place = ["user_id", "session_id"]
    changing = [column.name for column in enrolments.c if column.name not in place]
    return upsert.on_conflict_do_update(
        index_elements=place, set_={name: upsert.excluded[name] for name in changing}
    )


BEGIN = Statement(
    postgresql=_begin(postgresql.insert(enrolments)), sqlite=_begin(sqlite.insert(enrolments))
)

ASK = Statement(
    postgresql=_replace(postgresql.insert(challenges), ["session_id", "purpose"]),
    sqlite=_replace(sqlite.insert(challenges), ["session_id", "purpose"]),
)

ASK_ONE = Statement(
    postgresql=_replace(
        postgresql.insert(challenges), ["session_id", "purpose"], LISTED_POSTGRESQL
    ),
    sqlite=_replace(sqlite.insert(challenges), ["session_id", "purpose"], LISTED_SQLITE),
)


@dataclass(frozen=True)
class Authenticator:
    """What is enrolled, as its owner may see it. `rp_id` is None where it was not kept."""

    id: str
    handle: bytes = field(repr=False)
    credential_id: bytes = field(repr=False)
    rp_id: str | None
    aaguid: str
    provider: str | None
    name: str
    transports: tuple[str, ...]
    discoverable: bool | None
    user_verified: bool
    serves_alone: bool
    backup_eligible: bool
    backed_up: bool
    is_attested: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class Known:
    """What an authenticator knows a person by, and which credentials they have already."""

    handle: bytes = field(repr=False)
    registered: list[Descriptor]


@dataclass(frozen=True)
class Place:
    """Whose enrolment it is. Another session or person has no part in it."""

    id: str
    user_id: str
    session_id: str


class CredentialStore:
    """The credentials, enrolments and challenges of everybody."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self._db.ping()

    async def all(self, user_id: str) -> list[Authenticator]:
        """Return what the user has enrolled, oldest first."""
        rows = await self._db.all(AUTHENTICATORS, user_id=user_id)
        return [_authenticator(row) for row in rows]

    async def names(self, user_id: str) -> set[str]:
        """Return what the user's authenticators are called."""
        return {row.name for row in await self._db.all(NAMES, user_id=user_id)}

    async def record(self, *events: Event) -> None:
        """Record `events`, and change nothing."""
        await self._db.record(*events)

    async def begin(
        self,
        place: Place,
        enrolment: Enrolment,
        *events: Event,
        registered: Sequence[str],
        new_handle: bytes,
        expires_at: datetime,
    ) -> Known:
        """Open an enrolment in place of the session's last, for a user who has a handle after it.

        Raises Conflict if the id is taken by somebody else's, or the enrolment has been completed.
        """
        change = Change(
            step(
                BEGIN,
                id=place.id,
                user_id=place.user_id,
                session_id=place.session_id,
                challenge=enrolment.challenge,
                passwordless=int(enrolment.passwordless),
                expires_at=to_micros(expires_at),
            ),
            step(KNOW, user_id=place.user_id, handle=new_handle, ids=list(registered)),
        )
        try:
            row = await self._db.apply(change, *events)
        except Conflict:
            # ON CONFLICT watches one index. Of two equal requests at once, the second may meet
            # the other in the index of the ids instead; by now there is a row to be replaced.
            row = await self._db.apply(change, *events)
        if row is None:
            raise Conflict("The enrolment has been completed.", code="enrolment_completed")
        return Known(row.handle, _descriptors(row.listed))

    async def pending(self, place: Place, now: datetime) -> Enrolment | None:
        """Return what this session was asked, or None if it was not, or no longer is."""
        row = await self._db.find(PENDING, **vars(place), now=to_micros(now))
        return None if row is None else Enrolment(row.challenge, bool(row.passwordless))

    async def completed(self, place: Place, proof: bytes, since: datetime) -> Authenticator | None:
        """Return what this session has enrolled with that very proof, if it was after `since`."""
        row = await self._db.find(COMPLETED, **vars(place), proof=proof, since=to_micros(since))
        return None if row is None else _authenticator(row)

    async def complete(
        self,
        place: Place,
        challenge: bytes,
        registration: Registration,
        *events: Event,
        name: str,
        proof: bytes,
        now: datetime,
    ) -> Authenticator | None:
        """Turn a pending enrolment into a credential.

        None, and nothing is recorded, if it is no longer pending. Raises Conflict if somebody
        has that credential already, whoever it is.
        """
        micros = to_micros(now)
        taken = step(TAKE_ENROLMENT, **vars(place), challenge=challenge, now=micros)
        discoverable = registration.discoverable
        added = step(
            ADD,
            id=place.id,
            user_id=place.user_id,
            credential_id=registration.credential_id,
            rp_id=registration.rp_id,
            public_key=registration.public_key,
            algorithm=registration.algorithm,
            sign_count=registration.sign_count,
            aaguid=registration.aaguid,
            provider=registration.provider,
            name=name,
            transports=json.dumps(registration.transports),
            discoverable=None if discoverable is None else int(discoverable),
            user_verified=int(registration.user_verified),
            serves_alone=int(registration.serves_alone),
            backup_eligible=int(registration.backup_eligible),
            backed_up=int(registration.backed_up),
            attestation=registration.format,
            attested=int(registration.is_attested),
            key_identifier=registration.key_identifier,
            created_at=micros,
            last_used_at=None,
            enrolled_session=place.session_id,
            enrolled_proof=proof,
        )
        row = await self._db.apply(Change(taken, added), *events)
        return None if row is None else _authenticator(row)

    async def refuse_enrolment(self, place: Place, *events: Event) -> None:
        """Forget a pending enrolment, and record `events`."""
        dropped = also(DROP_ENROLMENT, id=place.id, user_id=place.user_id)
        await self._db.apply(dropped, *events)

    async def ask(
        self, session_id: str, challenge: Challenge, ids: Sequence[str], expires_at: datetime
    ) -> list[Descriptor]:
        """Keep a challenge in place of the session's last for that use.

        Returns those of `ids` that are the user's, who may answer it.
        """
        kept = {
            "session_id": session_id,
            "purpose": challenge.use.value,
            "user_id": challenge.user_id,
            "challenge": challenge.value,
            "verification_required": int(challenge.verification_required),
            "expires_at": to_micros(expires_at),
        }
        if challenge.user_id is None:
            await self._db.apply(step(ASK, **kept))
            return []
        row = await self._db.apply(step(ASK_ONE, **kept, ids=list(ids)))
        return [] if row is None else _descriptors(row.listed)

    async def judged(
        self, session_id: str, use: Use, credential_id: bytes, now: datetime
    ) -> tuple[Challenge | None, Credential | None]:
        """Return what the session was asked, and the credential of that id: whosever it is."""
        row = await self._db.find(
            JUDGED,
            session_id=session_id,
            purpose=use.value,
            credential_id=credential_id,
            now=to_micros(now),
        )
        if row is None:
            return None, None
        challenge = Challenge(row.challenge, use, row.asked, bool(row.verification_required))
        return challenge, None if row.id is None else _credential(row)

    async def accept(
        self,
        session_id: str,
        challenge: Challenge,
        credential: Credential,
        assertion: Assertion,
        *events: Event,
        now: datetime,
    ) -> bool:
        """Spend the challenge, advance the counter, and record `events`.

        False, and none of it, if the challenge is spent, the credential gone, or the counter has
        overtaken this one. A single write, so of two racing requests only one can win.
        """
        micros = to_micros(now)
        taken = step(
            TAKE_CHALLENGE,
            session_id=session_id,
            purpose=challenge.use.value,
            challenge=challenge.value,
            now=micros,
        )
        used = step(
            USE,
            id=credential.id,
            received=assertion.sign_count,
            regression_allowed=int(assertion.clone_suspected),
            backed_up=int(assertion.backed_up),
            now=micros,
        )
        return await self._db.apply(Change(taken, used), *events) is not None

    async def refuse(self, session_id: str, use: Use, *events: Event) -> None:
        """Forget what the session was asked, and record `events`."""
        dropped = also(DROP_CHALLENGE, session_id=session_id, purpose=use.value)
        await self._db.apply(dropped, *events)

    async def rename(
        self, user_id: str, id: str, name: str, *events: Event
    ) -> Authenticator | None:
        """Give an authenticator a name and record `events`. None, and neither, if there is none."""
        row = await self._db.apply(step(RENAME, id=id, user_id=user_id, name=name), *events)
        return None if row is None else _authenticator(row)

    async def remove(self, user_id: str, id: str, *events: Event) -> bool:
        """Delete an authenticator and record `events`. False, and neither, if there is none."""
        return await self._db.apply(step(REMOVE, id=id, user_id=user_id), *events) is not None

    async def drop_enrolment(self, user_id: str, id: str) -> None:
        """Forget a pending enrolment, if there is one."""
        await self._db.apply(step(DROP_ENROLMENT, id=id, user_id=user_id))

    async def drop_pending(self, user_id: str) -> None:
        """Forget all that a user was asked."""
        await self._db.apply(
            Change(also(DROP_ENROLMENTS, user_id=user_id), also(DROP_CHALLENGES, user_id=user_id))
        )

    async def drop_user(self, user_id: str) -> None:
        """Forget a user, and every credential of theirs, also one that nobody saw come."""
        # One write more, so that none is missed which was being completed at this moment.
        await self.drop_pending(user_id)
        await self._db.apply(
            Change(also(DROP_CREDENTIALS, user_id=user_id), also(DROP_USER, user_id=user_id))
        )

    async def sweep(self, now: datetime) -> bool:
        """Forget up to 500 enrolments and challenges each that have expired. False for none."""
        swept = [await self._db.apply(step(sweep, now=to_micros(now))) for sweep in SWEEPS]
        return any(row is not None for row in swept)


def _descriptors(listed: str | None) -> list[Descriptor]:
    """Return the credentials in the JSON of `_listed`, oldest first."""
    rows = sorted(json.loads(listed or "[]"), key=lambda row: (row[2], row[0]))
    return [Descriptor(bytes.fromhex(named), tuple(json.loads(how))) for named, how, _ in rows]


def _credential(row: Row) -> Credential:
    return Credential(
        id=row.id,
        user_id=row.user_id,
        handle=row.handle,
        public_key=row.public_key,
        sign_count=row.sign_count,
        aaguid=row.aaguid,
        serves_alone=bool(row.serves_alone),
        backup_eligible=bool(row.backup_eligible),
        backed_up=bool(row.backed_up),
        is_attested=bool(row.attested),
        key_identifier=row.key_identifier,
    )


def _authenticator(row: Row) -> Authenticator:
    used, discoverable = row.last_used_at, row.discoverable
    return Authenticator(
        id=row.id,
        handle=row.handle,
        credential_id=row.credential_id,
        rp_id=row.rp_id,
        aaguid=row.aaguid,
        provider=row.provider,
        name=row.name,
        transports=tuple(json.loads(row.transports)),
        discoverable=None if discoverable is None else bool(discoverable),
        user_verified=bool(row.user_verified),
        serves_alone=bool(row.serves_alone),
        backup_eligible=bool(row.backup_eligible),
        backed_up=bool(row.backed_up),
        is_attested=bool(row.attested),
        created_at=from_micros(row.created_at),
        last_used_at=None if used is None else from_micros(used),
    )
