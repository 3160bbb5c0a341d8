"""What is counted of the events that a consumer takes off the bus."""

from prometheus_client import Counter, Gauge


class Measures:
    """The metrics of one consumer, under its `name`. To be made once in a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused = Counter(
            f"countersign_{name}_refused_total",
            "Messages that were no event of ours and went to the dead letters.",
            ["flaw"],
        )
        self.entered = Counter(
            f"countersign_{name}_entries_total", "Events off the bus that were written, each once."
        )
        self.repeated = Counter(
            f"countersign_{name}_repeated_total", "Events that came again and were known already."
        )
        self.held = Gauge(
            f"countersign_{name}_held", "Events off the bus that could not be written so far."
        )
