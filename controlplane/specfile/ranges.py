"""The numbers that a key takes, as its model says it, for a sentence about one that is no number."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True)
class Range:
    """None where there is no end; `above` is an end that is not allowed itself."""

    least: float | None = None
    most: float | None = None
    above: float | None = None

    def __contains__(self, number: float) -> bool:
        least, most, above = self.least, self.most, self.above
        return (
            (least is None or number >= least)
            and (most is None or number <= most)
            and (above is None or number > above)
        )

    def __str__(self) -> str:
        """What follows 'a number'; empty where any will do."""
        if self.most is not None:
            example = "0.8" if self.most == 1 else f"{0.9 * self.most:g}"
            return f" between {self.least or 0:g} and {self.most:g}, such as {example}"
        if self.above is not None:
            return f" greater than {self.above:g}, such as 60"
        return f" of at least {self.least:g}, such as 20" if self.least is not None else ""


def range_of(section: type[BaseModel] | None, key: str | int) -> Range:
    """The range of a section's key; one without ends where the model does not say."""
    properties = section.model_json_schema()["properties"] if section else {}
    schema = properties.get(key, {})
    for one in (schema, *schema.get("anyOf", ())):
        if one.get("type") in ("number", "integer"):
            return Range(one.get("minimum"), one.get("maximum"), one.get("exclusiveMinimum"))
    return Range()
