"""HTTP between the services: the app factory, its errors and operations, and the client."""

from shared.http.answers import json_answer
from shared.http.client import InProcess, connect
from shared.http.operations import Check, create_operations
from shared.http.problems import Problem, describe, problem_details
from shared.http.service import closing, create_service
from shared.http.shortcut import include
from shared.http.strict import describe_body, json_body, parse_json

__all__ = [
    "Check",
    "InProcess",
    "Problem",
    "closing",
    "connect",
    "create_operations",
    "create_service",
    "describe",
    "describe_body",
    "include",
    "json_answer",
    "json_body",
    "parse_json",
    "problem_details",
]
