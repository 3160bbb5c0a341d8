"""A small service's tables, statements and event: wallets, with coins in them."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from shared.database import Statement
from shared.event import Event
from shared.outbox import outbox_tables

LOCATION = "tests.shared.sample"

metadata = MetaData()
wallets = Table(
    "wallets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, unique=True),
    Column("coins", BigInteger, nullable=False),
    Column("stamp", LargeBinary),
)
outbox, outbox_source = outbox_tables(metadata)

_wallet: dict[str, BindParameter[Any]] = {
    name: bindparam(name) for name in ("id", "owner", "coins")
}

ADD = Statement(insert(wallets).values(_wallet))
ADD_IF_NEW = Statement(
    postgresql=postgresql.insert(wallets).values(_wallet).on_conflict_do_nothing(),
    sqlite=sqlite.insert(wallets).values(_wallet).on_conflict_do_nothing(),
)
STAMP = Statement(insert(wallets).values(id=bindparam("id"), coins=0, stamp=bindparam("stamp")))
PAY_IN = Statement(
    update(wallets)
    .where(wallets.c.id == bindparam("id"))
    .values(coins=wallets.c.coins + bindparam("amount"))
    .returning(wallets.c.coins)
)
PAY_OUT = Statement(
    update(wallets)
    .where(wallets.c.id == bindparam("id"), wallets.c.coins >= bindparam("amount"))
    .values(coins=wallets.c.coins - bindparam("amount"))
    .returning(wallets.c.id, wallets.c.coins)
)
REMOVE = Statement(delete(wallets).where(wallets.c.id == bindparam("id")))
BY_ID = Statement(select(wallets).where(wallets.c.id == bindparam("id")))
AMONG = Statement(select(wallets).where(wallets.c.id.in_(bindparam("ids"))).order_by(wallets.c.id))
NOT_AMONG = Statement(
    select(wallets.c.id).where(wallets.c.id.not_in(bindparam("ids"))).order_by(wallets.c.id)
)
EVENTS = Statement(select(outbox).order_by(outbox.c.seq))


@dataclass(frozen=True, kw_only=True)
class Paid(Event):
    """Coins went somewhere."""

    type: ClassVar[str] = "mfa.sample.paid"

    amount: int | None = None
