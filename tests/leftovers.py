"""What a test that fails leaves running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def none_left() -> AsyncIterator[None]:
    """End, in the end, every task that was begun inside and still runs.

    Of a crowd that is gathered the others go on when one fails. They would open again what the
    test closes, and what nobody closes then is found in whichever test comes later.
    """
    before = asyncio.all_tasks()
    try:
        yield
    finally:
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
