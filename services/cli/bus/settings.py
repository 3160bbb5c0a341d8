"""What the command is told: the broker, its management, and the passwords of its users."""

from typing import cast

from pydantic import Field, SecretStr, create_model

from services.cli.environment import adopt, recall
from services.suite import SERVICES
from shared.settings import BrokerUrl, PublicKeys, ServiceSettings, load


class BusSettings(ServiceSettings):
    """The broker, and the user who may declare queues on it."""

    broker_url: BrokerUrl = Field(description="Address of the broker, user and password included.")
    broker_management_url: SecretStr | None = Field(
        None,
        description="Address of RabbitMQ's management plugin, such as `http://rabbitmq:15672`: "
        "with it `bus declare` makes the services' users, and `bus check` compares them and the "
        "bindings. The user is that of `BROKER_URL` unless the address names another.",
    )
    event_keys: PublicKeys | None = Field(
        None,
        description="The public keys of the services, with which `bus dead` says why a message "
        "was refused.",
    )


def bus_settings() -> BusSettings:
    """Return what the command is told, by its environment or by the suite that runs here."""
    adopt(recall())
    return load(BusSettings)


def passwords_class(names: tuple[str, ...] = SERVICES) -> type[ServiceSettings]:
    """Return the settings that say the passwords of these users of RabbitMQ."""
    fields = {
        setting_of(name): (SecretStr, Field(description=f"Password of RabbitMQ's user `{name}`."))
        for name in names
    }
    made = create_model("Passwords", __base__=ServiceSettings, **fields)  # type: ignore[call-overload]
    return cast("type[ServiceSettings]", made)


def setting_of(name: str) -> str:
    """Return the field with the password of a user."""
    return f"{name.replace('-', '_').replace('.', '_')}_broker_password"
