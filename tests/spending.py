"""What a service spends on its database: counted, for times say little on a shared machine."""

from prometheus_client import REGISTRY


def counted(source: str) -> dict[str, float]:
    """Return how many statements and commits the service `source` has made so far."""
    return {
        name: REGISTRY.get_sample_value(f"countersign_database_{metric}_total", labels) or 0
        for name, metric, labels in (
            ("read", "statements", {"source": source, "kind": "read"}),
            ("write", "statements", {"source": source, "kind": "write"}),
            ("commit", "commits", {"source": source}),
        )
    }


def spent_since(source: str, before: dict[str, float]) -> dict[str, float]:
    """Return what has been added to `counted` since."""
    return {name: value - before[name] for name, value in counted(source).items()}
