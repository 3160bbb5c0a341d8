"""The mails by which people show that an address is theirs: with a code, or with a link."""

from dataclasses import replace
from datetime import datetime

from services.session.domain.codes import MailedCode
from services.session.domain.frontend_urls import CONFIRM_EMAIL, FrontendUrls
from services.session.domain.mails import MailKind
from services.session.domain.verification import Verification
from services.session.flows.letters import Letter, Letters
from services.session.flows.link_keys import LinkKey, LinkKeys
from services.session.flows.mailed_codes import MailedCodes
from services.session.store.emails import Address
from shared.clock import to_micros

PRIMARY = "primary"
CLAIMED = "claimed"


class AddressMails:
    """Makes them, and reads what comes back.

    Who may not have a code or a link gets another mail `instead`, counted as one.
    """

    def __init__(
        self,
        letters: Letters,
        codes: MailedCodes,
        links: LinkKeys,
        verification: Verification,
        pages: FrontendUrls,
    ) -> None:
        self._letters = letters
        self._codes = codes
        self._links = links
        self._verification = verification
        self._pages = pages

    # By code

    def with_code(
        self,
        process: str,
        to: str,
        now: datetime,
        *,
        ip: str,
        instead: MailKind | None = None,
    ) -> tuple[MailedCode, Letter]:
        """Return a code for `process`, the id of what waits for it, and the letter to `to`."""
        code, awaited = self._codes.make(process, self._verification.codes, now)
        return awaited, self._letter(to, code, now, ip, instead)

    def with_code_again(
        self,
        process: str,
        awaited: MailedCode,
        to: str,
        now: datetime,
        *,
        ip: str,
        instead: MailKind | None = None,
    ) -> tuple[MailedCode, Letter]:
        """Return another code in place of one that is awaited, counted as sent anew.

        Who may not have it has been told so: it is the same work, and nothing is sent.
        """
        code, another = self._codes.remake(process, awaited, self._verification.codes.format)
        letter = self._letters.write_within(
            self._letters.counters(to, ip=ip),
            to,
            instead or MailKind.VERIFICATION_CODE,
            now,
            facts={} if instead else {"code": code},
            wanted=instead is None,
        )
        return another, letter

    def with_code_elsewhere(
        self,
        process: str,
        awaited: MailedCode,
        to: str,
        now: datetime,
        *,
        ip: str,
        instead: MailKind | None = None,
    ) -> tuple[MailedCode, Letter]:
        """Return a code that goes to another address than the one that is awaited.

        Its age, and what has failed so far, stay.
        """
        fresh, letter = self.with_code(process, to, now, ip=ip, instead=instead)
        return replace(awaited, hash=fresh.hash), letter

    def is_code(self, process: str, awaited: MailedCode, typed: str) -> bool:
        """Tell whether `typed` is the code that is awaited. How old it is, the caller asks."""
        return self._codes.is_right(process, awaited, typed)

    def _letter(
        self, to: str, code: str, now: datetime, ip: str, instead: MailKind | None
    ) -> Letter:
        if instead is not None:
            return self._letters.write(to, instead, now, ip=ip)
        return self._letters.write(to, MailKind.VERIFICATION_CODE, now, ip=ip, facts={"code": code})

    # By link

    def with_link(
        self,
        user_id: str,
        session_epoch: int,
        address: Address,
        now: datetime,
        *,
        ip: str,
        instead: MailKind | None = None,
    ) -> Letter:
        """Return the letter with a link that verifies `address` as one of that person's.

        The link ends with whatever ends the sessions of the person: somebody else may have asked
        for it.
        """
        if instead is not None:
            return self._letters.write(address.address, instead, now, ip=ip, may_be_left_out=True)
        key = self._links.make(
            user_id,
            *_bound_to(address, session_epoch),
            expires_at=now + self._verification.link_lifetime,
        )
        link = self._pages.page_with(CONFIRM_EMAIL, key)
        if link is None:
            raise TypeError("without a page for links there are none: settings are to see to it")
        return self._letters.write(
            address.address,
            MailKind.VERIFICATION_LINK,
            now,
            ip=ip,
            facts={"link": link},
            may_be_left_out=True,
        )

    def read_link(self, text: str, now: datetime) -> LinkKey | None:
        """Return whose address the key in a link is to verify, if it may be a key."""
        return self._links.read(text, now)

    def is_for(self, key: LinkKey, address: Address, session_epoch: int) -> bool:
        """Tell whether a key was made to verify `address`, and still does."""
        return not address.verified and self._links.fits(key, *_bound_to(address, session_epoch))


def _bound_to(address: Address, session_epoch: int) -> tuple[str, ...]:
    """Return what a link is bound to: it is of no use for what was claimed anew since."""
    claimed = "" if address.claimed_at is None else str(to_micros(address.claimed_at))
    role = PRIMARY if address.primary else CLAIMED
    return role, address.address, claimed, str(session_epoch)
