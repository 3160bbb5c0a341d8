"""What the tests have measured: a row for each fault, for docs/reliability.md."""

HEAD = (
    "",
    "| stack | killed with -9 | times | events | missing | twice | settled after |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)
ROWS: list[str] = []


def add(
    stack: str, fault: str, *, times: int, events: int, missing: int, twice: int, seconds: float
) -> None:
    """Note what became of a load; `seconds` from its end until all was in the ledger."""
    ROWS.append(
        f"| {stack} | {fault} | {times} | {events} | {missing} | {twice} | {seconds:.0f} s |"
    )
