"""What people get by mail: a letter made into a message."""

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit

from services.session.domain.addresses import parse_address
from services.session.domain.mails import Mail
from services.session.gateway.postbox import Undeliverable
from services.session.gateway.templates import Templates


def compose(
    mail: Mail,
    *,
    sender: str,
    public_url: str,
    message_id: str,
    written_at: datetime,
    templates: Templates,
) -> EmailMessage:
    """Return `mail` as a message of text and HTML.

    The same arguments give the same message, header by header.
    `message_id` is the part before the @; what follows is the sender's domain. `public_url` is
    named as the place the mail is about. Raises Undeliverable unless the recipient is an address in
    canonical form: Python's header folding can be led astray by what is not.
    """
    if parse_address(mail.to) != mail.to:
        raise Undeliverable("The recipient is no address.")
    site = urlsplit(public_url).hostname or public_url
    facts = {**mail.facts, "to": mail.to, "site": site, "url": public_url}
    letter = templates.write(mail.kind, facts)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(written_at)
    message["Message-ID"] = f"<{message_id}@{_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes, please
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    # A random boundary would make another message of every attempt.
    message.set_boundary(f"part-{message_id}")
    return message


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"
