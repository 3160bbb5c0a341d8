"""What the ledger can be told from outside."""

from pydantic import Field

from shared.settings import BrokerUrl, DatabaseUrl, PublicKeys, ServiceSettings


class Settings(ServiceSettings):
    """Settings of the audit service: of its readers' side and of its worker."""

    audit_database_url: DatabaseUrl = Field(
        description="Where the ledger is kept: `sqlite:////absolute/path` or `postgresql://…`."
    )
    broker_url: BrokerUrl = Field(
        description="The broker that events arrive by: `amqp://…` or `redis://…`."
    )
    event_keys: PublicKeys = Field(
        description="Public keys of the services whose events are believed, as JSON: "
        '`{"<key id>": {"issuer": "<service>", "key": "<base64>"}}`.'
    )
    caller_keys: PublicKeys = Field(
        description="Public keys of those who may read the ledger or have people forgotten in it, "
        "in the form of `EVENT_KEYS`."
    )
