"""Answers between services, written as fast as pydantic can."""

from fastapi import Response
from pydantic import BaseModel


def json_answer(answer: BaseModel) -> Response:
    """Return `answer` as JSON."""
    return Response(answer.__pydantic_serializer__.to_json(answer), media_type="application/json")
