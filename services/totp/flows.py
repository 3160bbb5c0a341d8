"""What the TOTP service does: read, decide, one write."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.totp.domain.codes import (
    ENROLMENT_LIFETIME,
    Judgement,
    Policy,
    Verdict,
    current_step,
    is_bypass,
    is_code_of,
    match_step,
    new_secret,
    otpauth_url,
    readable,
)
from services.totp.domain.qr import qr_svg
from services.totp.events import (
    TotpAccepted,
    TotpActivated,
    TotpActivationFailed,
    TotpEnrolmentStarted,
    TotpFailed,
    TotpRemoved,
    TotpReplayed,
    TotpResealed,
    TotpResealingStarted,
)
from services.totp.store import (
    PURPOSE,
    Authenticator,
    AuthenticatorStore,
    Enrolment,
    Progress,
    sealed_values,
)
from shared.cipher import Cipher, KeyRing
from shared.clock import Clock
from shared.code_form import CodeForm
from shared.database import Database
from shared.errors import NotFound
from shared.resealing import Resealing


@dataclass(frozen=True)
class Offer:
    """What a person needs to set up their device: the secret to type, or the code to scan."""

    enrolment_id: str
    secret: str = field(repr=False)
    url: str = field(repr=False)
    svg: str = field(repr=False)
    expires_at: datetime


class TotpFlows:
    """The use cases. `bypass_code` is for development: it passes for everybody's, unless empty."""

    def __init__(
        self,
        store: AuthenticatorStore,
        clock: Clock,
        policy: Policy,
        *,
        tolerance: int = 0,
        issuer: str = "Countersign",
        bypass_code: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._tolerance = tolerance
        self._issuer = issuer
        self._bypass_code = bypass_code

    async def ready(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self._store.ping()

    async def authenticators(self, user_id: str) -> list[Authenticator]:
        """Return what the person has enrolled, oldest first."""
        return await self._store.all(user_id)

    def code_form(self, authenticator: Authenticator) -> CodeForm | None:
        """Return what its codes look like, or None where a code of any other form may pass."""
        return None if self._bypass_code else authenticator.policy.code_form

    async def verify(self, user_id: str, ids: Sequence[str], code: str) -> Judgement:
        """Judge `code` against those of `ids` that are the user's, and spend it if it is right.

        Whoever calls must count the refusals: nothing here limits guessing.
        """
        now = self._clock()
        for authenticator in await self._store.find(user_id, ids):
            if is_bypass(code, self._bypass_code):
                bypassed = TotpAccepted(
                    user_id=user_id, authenticator_id=authenticator.id, bypass=True
                )
                await self._store.record(bypassed)
                return Judgement(Verdict.ACCEPTED, authenticator.id)
            step = match_step(
                authenticator.secret, code, now, authenticator.policy, self._tolerance
            )
            if step is None:
                continue
            accepted = TotpAccepted(user_id=user_id, authenticator_id=authenticator.id)
            if await self._store.spend_step(authenticator.id, step, now, accepted):
                return Judgement(Verdict.ACCEPTED, authenticator.id)
            replayed = TotpReplayed(user_id=user_id, authenticator_id=authenticator.id)
            await self._store.record(replayed)
            return Judgement(Verdict.REPLAYED, authenticator.id)
        await self._store.record(TotpFailed(user_id=user_id))
        return Judgement(Verdict.REJECTED)

    async def begin(
        self, user_id: str, enrolment_id: str, session_id: str, account_name: str
    ) -> Offer:
        """Make a secret for this session to enrol. It takes the place of the session's last one.

        Repeatable, with a new secret each time, of which only the last counts. Raises Conflict if
        the enrolment belongs to somebody else, or has been completed.
        """
        now = self._clock()
        enrolment = Enrolment(
            id=enrolment_id,
            user_id=user_id,
            session_id=session_id,
            policy=self._policy,
            secret=new_secret(),
            created_at=now,
            expires_at=now + ENROLMENT_LIFETIME,
        )
        started = TotpEnrolmentStarted(user_id=user_id, enrolment_id=enrolment_id)
        await self._store.begin(enrolment, started)
        url = otpauth_url(
            enrolment.secret,
            account_name=account_name,
            issuer=self._issuer,
            policy=enrolment.policy,
        )
        return Offer(
            enrolment_id=enrolment_id,
            secret=readable(enrolment.secret),
            url=url,
            svg=qr_svg(url),
            expires_at=enrolment.expires_at,
        )

    async def complete(
        self, user_id: str, enrolment_id: str, session_id: str, code: str, name: str | None
    ) -> Authenticator | None:
        """Return the new authenticator, whose id is the enrolment's, or None if the code is wrong.

        The code is spent. Repeatable, with the code that completed it. Raises NotFound if this
        session has no such enrolment, or no more.
        """
        while True:
            now = self._clock()
            progress = await self._store.progress(user_id, enrolment_id, session_id, now)
            if progress is None:
                raise NotFound("There is no such enrolment.", code="enrolment_not_found")
            step = self._proven_step(progress, code, now)
            if step is None:
                failed = TotpActivationFailed(user_id=user_id, enrolment_id=enrolment_id)
                await self._store.record(failed)
                return None
            if progress.enrolled_step is not None:
                return Authenticator(
                    enrolment_id, progress.name, progress.policy, progress.created_at, None
                )
            activated = TotpActivated(user_id=user_id, authenticator_id=enrolment_id)
            if await self._store.complete(
                user_id,
                enrolment_id,
                session_id,
                progress,
                activated,
                step_=step,
                name=name,
                now=now,
            ):
                return Authenticator(enrolment_id, name, progress.policy, now, None)
            # Another request has completed, replaced or removed it since: look again.

    async def remove(self, user_id: str, id: str) -> None:
        """Remove an authenticator, and the enrolment of that id. Repeatable."""
        # The enrolment first: one that is being completed at this moment must not come after.
        await self._store.drop_enrolment(user_id, id)
        await self._store.remove(user_id, id, TotpRemoved(user_id=user_id, authenticator_id=id))

    async def forget(self, user_id: str) -> None:
        """Remove everything of a person. Repeatable."""
        await self._store.drop_enrolments(user_id)
        for authenticator in await self._store.all(user_id):
            await self.remove(user_id, authenticator.id)

    async def sweep(self) -> None:
        """Forget the enrolments that were never completed."""
        while await self._store.sweep(self._clock()):
            pass

    def _proven_step(self, progress: Progress, code: str, now: datetime) -> int | None:
        """Return the time step that `code` proves, or None.

        For a completed enrolment that is the step that completed it, as long as it could have
        been pending: the answer may have been lost, and is asked for again.
        """
        if is_bypass(code, self._bypass_code):
            return current_step(now, progress.policy)
        if progress.enrolled_step is None:
            return match_step(progress.secret, code, now, progress.policy, self._tolerance)
        if now >= progress.created_at + ENROLMENT_LIFETIME:
            return None
        proven = is_code_of(progress.secret, code, progress.enrolled_step, progress.policy)
        return progress.enrolled_step if proven else None


def build_resealing(db: Database, ring: KeyRing) -> Resealing:
    """Return what seals secrets by the primary key of `ring` that other keys of it have sealed."""
    cipher = Cipher(ring, PURPOSE)
    return Resealing(
        db,
        [(shelf, cipher) for shelf in sealed_values()],
        primary=ring.primary,
        begun=TotpResealingStarted,
        ended=TotpResealed,
    )
