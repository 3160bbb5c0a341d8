"""What the WebAuthn service does: read, decide, one write."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from services.webauthn.domain import assertion as authentication
from services.webauthn.domain import naming, registration
from services.webauthn.domain.assertion import (
    CHALLENGE_BYTES,
    HANDLE_BYTES,
    Assertion,
    Challenge,
    Credential,
    Person,
    Response,
)
from services.webauthn.domain.encoding import encode
from services.webauthn.domain.options import request_options, unknown_credential
from services.webauthn.domain.policy import Rules, Use
from services.webauthn.domain.refusal import Reason
from services.webauthn.domain.registration import Enrolment, Registration, creation_options
from services.webauthn.events import (
    WebAuthnAccepted,
    WebAuthnActivated,
    WebAuthnActivationFailed,
    WebAuthnCloneSuspected,
    WebAuthnEnrolmentStarted,
    WebAuthnFailed,
    WebAuthnRemoved,
    WebAuthnRenamed,
)
from services.webauthn.store import Authenticator, CredentialStore, Place
from shared.clock import Clock
from shared.errors import Conflict, Malformed, NotFound
from shared.event import Event

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """What a page hands to the browser, and until when the answer is awaited."""

    options: Json = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Judgement:
    """What an assertion proves; `reason` says why it does not.

    `signal` is what a page may tell the browser, so that it offers a dead credential no more. Of a
    credential that may have been copied the event tells alone, for an answer may be lost.
    """

    reason: Reason | None
    credential: Credential | None = None
    assertion: Assertion | None = None
    signal: Json | None = None


@dataclass(frozen=True)
class Attempt:
    """Where an assertion is offered, for what, and by whom, if that is known."""

    session_id: str
    use: Use
    person: Person | None


class WebAuthnFlows:
    """The use cases, under one set of rules."""

    def __init__(self, store: CredentialStore, clock: Clock, rules: Rules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._lifetime = rules.policy.challenge_lifetime

    @property
    def rp_id(self) -> str:
        """Whom the credentials are made for."""
        return self._rules.party.id

    async def ready(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self._store.ping()

    async def authenticators(self, user_id: str) -> list[Authenticator]:
        """Return what the person has enrolled, oldest first."""
        return await self._store.all(user_id)

    async def begin(
        self,
        place: Place,
        account_name: str,
        *,
        passwordless: bool = False,
        registered: Sequence[str] = (),
    ) -> Offer:
        """Return options for a credential to be made; they take the place of the session's last.

        Repeatable, with a new challenge each time, of which only the last counts.
        `registered` are authenticators that must not be registered twice. Raises Conflict if the
        enrolment belongs to somebody else, or has been completed.
        """
        enrolment = Enrolment(secrets.token_bytes(CHALLENGE_BYTES), passwordless)
        expires_at = self._clock() + self._lifetime
        known = await self._store.begin(
            place,
            enrolment,
            WebAuthnEnrolmentStarted(
                user_id=place.user_id, enrolment_id=place.id, passwordless=passwordless
            ),
            registered=registered,
            new_handle=secrets.token_bytes(HANDLE_BYTES),
            expires_at=expires_at,
        )
        options = creation_options(
            enrolment,
            handle=known.handle,
            account_name=account_name,
            registered=known.registered,
            rules=self._rules,
        )
        return Offer(options, expires_at)

    async def complete(
        self, place: Place, credential: Json, name: str | None
    ) -> Authenticator | None:
        """Return the new authenticator, whose id is the enrolment's, or None if it is refused.

        A refusal ends the enrolment. Repeatable, with the proof that completed it, for as long as
        a challenge lives: the answer may have been lost. Raises NotFound if this session has no
        such enrolment, or no more.
        """
        proof = _fingerprint(credential)
        while True:
            now = self._clock()
            enrolment = await self._store.pending(place, now)
            if enrolment is None:
                made = await self._store.completed(place, proof, now - self._lifetime)
                if made is None:
                    raise NotFound("There is no such enrolment.", code="enrolment_not_found")
                return made
            judged = registration.judge(credential, enrolment, self._rules, now)
            if isinstance(judged, Reason):
                await self._refuse_enrolment(place, judged)
                return None
            called = await self._name(place.user_id, name, judged)
            try:
                made = await self._store.complete(
                    place,
                    enrolment.challenge,
                    judged,
                    _activated(place, judged),
                    name=called,
                    proof=proof,
                    now=now,
                )
            except Conflict:
                made = await self._store.completed(place, proof, now - self._lifetime)
                if made is not None:  # it was begun again while it was completed
                    return made
                await self._refuse_enrolment(place, Reason.TAKEN)
                return None
            if made is not None:
                return made
            # Another request has completed, replaced or removed it since: look again.

    async def challenge(self, user_id: str, ids: Sequence[str], session_id: str, use: Use) -> Offer:
        """Return options for one of the person's authenticators `ids` to answer."""
        return await self._ask(session_id, use, user_id, ids)

    async def challenge_anybody(self, session_id: str) -> Offer:
        """Return options for a login, that any passkey can answer."""
        return await self._ask(session_id, Use.LOGIN, None, ())

    async def verify(
        self, user_id: str, ids: Sequence[str], session_id: str, use: Use, credential: Json
    ) -> Judgement:
        """Judge an assertion by one of the person's authenticators `ids`, and spend it.

        Right or wrong, its challenge is gone afterwards.
        """
        person = Person(user_id, frozenset(ids))
        return await self._verify(Attempt(session_id, use, person), credential)

    async def verify_anybody(self, session_id: str, credential: Json) -> Judgement:
        """Judge an assertion that tells who the person is, and spend it."""
        return await self._verify(Attempt(session_id, Use.LOGIN, None), credential)

    async def rename(self, user_id: str, id: str, name: str) -> Authenticator:
        """Give an authenticator a name. Raises NotFound if there is none, Malformed for no name."""
        cleaned = naming.clean(name)
        if not cleaned:
            raise Malformed("The name has nothing to be seen.", code="blank", field="name")
        renamed = WebAuthnRenamed(user_id=user_id, authenticator_id=id)
        authenticator = await self._store.rename(user_id, id, cleaned, renamed)
        if authenticator is None:
            raise NotFound("There is no such authenticator.", code="authenticator_not_found")
        return authenticator

    async def remove(self, user_id: str, id: str) -> None:
        """Remove an authenticator, and the enrolment of that id. Repeatable."""
        # The enrolment first: one that is being completed at this moment must not come after.
        await self._store.drop_enrolment(user_id, id)
        removed = WebAuthnRemoved(user_id=user_id, authenticator_id=id)
        await self._store.remove(user_id, id, removed)

    async def forget(self, user_id: str) -> None:
        """Remove everything of a person. Repeatable."""
        await self._store.drop_pending(user_id)
        for authenticator in await self._store.all(user_id):
            await self.remove(user_id, authenticator.id)
        await self._store.drop_user(user_id)

    async def sweep(self) -> None:
        """Forget the enrolments and challenges that nobody answered."""
        while await self._store.sweep(self._clock()):
            pass

    async def _ask(
        self, session_id: str, use: Use, user_id: str | None, ids: Sequence[str]
    ) -> Offer:
        challenge = Challenge(
            value=secrets.token_bytes(CHALLENGE_BYTES),
            use=use,
            user_id=user_id,
            verification_required=self._rules.verification.requirement(use) == "required",
        )
        expires_at = self._clock() + self._lifetime
        allowed = await self._store.ask(session_id, challenge, ids, expires_at)
        return Offer(request_options(challenge.value, use, allowed, self._rules), expires_at)

    async def _verify(self, attempt: Attempt, offered: Json) -> Judgement:
        response = Response.read(offered)
        if isinstance(response, Reason):
            return await self._refuse(attempt, response)
        judgement = None
        while judgement is None:
            judgement = await self._judge(attempt, response)
        return judgement

    async def _judge(self, attempt: Attempt, response: Response) -> Judgement | None:
        """Return the judgement, or None if what it rests on has changed meanwhile."""
        now = self._clock()
        challenge, credential = await self._store.judged(
            attempt.session_id, attempt.use, response.credential_id, now
        )
        if challenge is None:
            return await self._refuse(attempt, Reason.NO_CHALLENGE)
        if credential is None:
            signal = unknown_credential(self.rp_id, encode(response.credential_id))
            return await self._refuse(attempt, Reason.UNKNOWN_CREDENTIAL, signal=signal)
        judged = authentication.judge(response, challenge, credential, attempt.person, self._rules)
        if isinstance(judged, Reason):
            return await self._refuse(attempt, judged, credential)
        is_suspect = judged.clone_suspected
        if is_suspect and self._rules.policy.refuse_counter_regression:
            suspected = _suspected(credential, judged, accepted=False)
            return await self._refuse(attempt, Reason.COUNTER, credential, suspected)
        events = [_accepted(credential, judged, attempt.use)]
        if is_suspect:
            events.append(_suspected(credential, judged, accepted=True))
        # Another request may have spent the challenge, moved the counter, or removed the
        # credential since.
        spent = await self._store.accept(
            attempt.session_id, challenge, credential, judged, *events, now=now
        )
        return Judgement(None, credential, judged) if spent else None

    async def _refuse(
        self,
        attempt: Attempt,
        reason: Reason,
        credential: Credential | None = None,
        *events: Event,
        signal: Json | None = None,
    ) -> Judgement:
        """Forget the challenge and record why.

        Where nobody is known yet, it is told of the owner of the credential, if there is one; and
        somebody else's credential is not told of to whom it does not belong. That is for the audit
        trail: ids of credentials are no secrets, so no limit of the owner's may count on it.
        """
        person = attempt.person
        owner = None if credential is None else credential.user_id
        named = None if credential is None or reason is Reason.NOT_ALLOWED else credential.id
        failed = WebAuthnFailed(
            user_id=owner if person is None else person.user_id,
            authenticator_id=named,
            purpose=attempt.use.value,
            reason=reason.value,
        )
        await self._store.refuse(attempt.session_id, attempt.use, *events, failed)
        return Judgement(reason, signal=signal)

    async def _refuse_enrolment(self, place: Place, reason: Reason) -> None:
        failed = WebAuthnActivationFailed(
            user_id=place.user_id, enrolment_id=place.id, reason=reason.value
        )
        await self._store.refuse_enrolment(place, failed)

    async def _name(self, user_id: str, wished: str | None, made: Registration) -> str:
        """Return what a new authenticator is called: as the person wishes, if they do."""
        if cleaned := naming.clean(wished):
            return cleaned
        taken = await self._store.names(user_id)
        return naming.prefilled(made.provider, is_passkey=made.is_passkey, taken=taken)


def _fingerprint(credential: Json) -> bytes:
    """Return a hash of what the authenticator has signed, to know the same proof by."""
    response = credential.get("response")
    parts = response if isinstance(response, Mapping) else {}
    signed = (parts.get(name) for name in ("clientDataJSON", "attestationObject"))
    texts = (part if isinstance(part, str) else "" for part in signed)
    return sha256("\n".join(texts).encode(errors="replace")).digest()


def _activated(place: Place, made: Registration) -> Event:
    return WebAuthnActivated(
        user_id=place.user_id,
        authenticator_id=place.id,
        aaguid=made.aaguid,
        format=made.format,
        attested=made.is_attested,
        user_verified=made.user_verified,
        backup_eligible=made.backup_eligible,
    )


def _accepted(credential: Credential, assertion: Assertion, use: Use) -> Event:
    return WebAuthnAccepted(
        user_id=credential.user_id,
        authenticator_id=credential.id,
        purpose=use.value,
        user_verified=assertion.user_verified,
    )


def _suspected(credential: Credential, assertion: Assertion, *, accepted: bool) -> Event:
    return WebAuthnCloneSuspected(
        user_id=credential.user_id,
        authenticator_id=credential.id,
        stored=credential.sign_count,
        received=assertion.sign_count,
        accepted=accepted,
    )
