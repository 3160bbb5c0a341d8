"""Statements compiled once; reads; changes written together with their events."""

from shared.database.database import Bell, Database
from shared.database.statement import Change, Row, Statement, Step, also, step

__all__ = ["Bell", "Change", "Database", "Row", "Statement", "Step", "also", "step"]
