"""Our own factors, held against the protocol; on PostgreSQL races are real."""

from collections.abc import AsyncIterator

import pytest

from services.cli.conformance.plugin import HeldRule
from services.cli.conformance.subject import Subject
from services.suite import FACTORS
from tests.conformance.subjects import OURS


@pytest.fixture(params=list(OURS))
async def factor_subject(
    request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[Subject]:
    """Each of them in turn."""
    async with OURS[request.param](database_url) as subject:
        yield subject


async def test_the_protocol_is_kept(factor_rule: HeldRule) -> None:
    await factor_rule.held()


def test_no_factor_of_ours_is_left_out() -> None:
    assert set(OURS) == set(FACTORS)
