"""`countersign bus`: what the broker must have before anybody publishes, and what went astray.

`checking` compares what is there with what should be, `users` are those of RabbitMQ, and `dead` and
`letters` look after the messages that nobody could take.
"""

from services.cli.bus.command import bus

__all__ = ["bus"]
