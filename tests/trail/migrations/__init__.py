"""The tables of a service that has nothing but an outbox."""
