"""`countersign catalogue`: every type of event, in the forms that others read."""

from services.cli.catalogue.command import catalogue

__all__ = ["catalogue"]
