"""Metrics as a Prometheus reads them."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Scraped:
    """All samples by name and labels; counters are of the whole process, so tests look at how they grow."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def read(cls, page: str) -> "Scraped":
        families = text_string_to_metric_families(page)
        samples = [sample for family in families for sample in family.samples]
        return cls({(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples})

    def get(self, name: str, **labels: str) -> float | None:
        """One sample, `gateway_` left out; `None` where there is none."""
        return self.samples.get((f"gateway_{name}", frozenset(labels.items())))

    def since(self, before: "Scraped", name: str, **labels: str) -> float:
        """How much a counter has grown."""
        return (self.get(name, **labels) or 0) - (before.get(name, **labels) or 0)
