"""Where accounts and sessions are kept."""

from services.session.store.mails import DueMail, MailStore
from services.session.store.rows import Found
from services.session.store.store import DeadAuthenticator, Known, Store, Vacancy

__all__ = ["DeadAuthenticator", "DueMail", "Found", "Known", "MailStore", "Store", "Vacancy"]
