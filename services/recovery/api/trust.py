"""Trust in browsers: the contract of `shared.trust`."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.recovery.api.given import Trust as Flows
from services.recovery.api.given import UserId
from services.recovery.domain.trust import Token
from services.recovery.flows.trust import Listed
from shared.auth import admitted
from shared.http import describe_body, json_answer, json_body
from shared.trust import (
    Browser,
    Browsers,
    Check,
    Checked,
    ListBrowsers,
    Recognise,
    Recognised,
    Revoke,
    Revoked,
    Trust,
    Trusted,
)

router = APIRouter(dependencies=[Depends(admitted)])


@router.post(
    "/v1/users/{user_id}/browsers/check",
    response_model=Checked,
    openapi_extra=describe_body(Check),
)
async def check_browser(
    user_id: UserId, question: Annotated[Check, Depends(json_body(Check))], flows: Flows
) -> Response:
    """Answer whether a browser is trusted, and what it is to keep from now on."""
    outcome = await flows.check(user_id, _parsed(question.tokens), question.factor_epoch)
    checked = Checked(
        trusted=outcome.browser_id is not None,
        browser_id=outcome.browser_id,
        tokens=_written(outcome.tokens),
    )
    return json_answer(checked)


@router.post(
    "/v1/users/{user_id}/browsers/recognise",
    response_model=Recognised,
    openapi_extra=describe_body(Recognise),
)
async def recognise_browser(
    user_id: UserId, question: Annotated[Recognise, Depends(json_body(Recognise))], flows: Flows
) -> Response:
    """Answer which browser it is, if it is trusted, and change nothing."""
    browser_id = await flows.recognise(user_id, _parsed(question.tokens), question.factor_epoch)
    return json_answer(Recognised(browser_id=browser_id))


@router.post(
    "/v1/users/{user_id}/browsers",
    response_model=Trusted,
    openapi_extra=describe_body(Trust),
)
async def trust_browser(
    user_id: UserId, question: Annotated[Trust, Depends(json_body(Trust))], flows: Flows
) -> Response:
    """Trust a browser from now on."""
    trusted = await flows.trust(
        user_id, _parsed(question.tokens), question.factor_epoch, question.user_agent
    )
    return json_answer(Trusted(browser_id=trusted.browser_id, tokens=_written(trusted.tokens)))


@router.post(
    "/v1/users/{user_id}/browsers/list",
    response_model=Browsers,
    openapi_extra=describe_body(ListBrowsers),
)
async def list_browsers(
    user_id: UserId,
    question: Annotated[ListBrowsers, Depends(json_body(ListBrowsers))],
    flows: Flows,
) -> Response:
    """Answer which browsers a person trusts."""
    listed = await flows.browsers(user_id, _parsed(question.tokens), question.factor_epoch)
    return json_answer(Browsers(browsers=[_browser(each) for each in listed]))


@router.post(
    "/v1/users/{user_id}/browsers/revoke",
    response_model=Revoked,
    openapi_extra=describe_body(Revoke),
)
async def revoke_browsers(
    user_id: UserId, question: Annotated[Revoke, Depends(json_body(Revoke))], flows: Flows
) -> Response:
    """Trust some browsers no more, or none at all, and answer which were trusted."""
    revoked = await flows.revoke(user_id, question.browsers, _parsed(question.tokens))
    return json_answer(Revoked(browsers=[*revoked.browser_ids], tokens=_written(revoked.tokens)))


def _parsed(tokens: Iterable[str]) -> list[Token]:
    return [Token.parse(token) for token in tokens]


def _written(tokens: Iterable[Token]) -> list[str]:
    return [str(token) for token in tokens]


def _browser(listed: Listed) -> Browser:
    kept = listed.browser
    used = kept.last_used_at
    return Browser(
        id=kept.id,
        name=kept.name,
        created_at=kept.created_at.timestamp(),
        last_used_at=None if used is None else used.timestamp(),
        expires_at=kept.expires_at.timestamp(),
        is_current=listed.is_current,
    )
