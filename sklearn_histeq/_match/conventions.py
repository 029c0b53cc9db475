"""The only convention of HistogramMatcher: it accepts all images."""

from dataclasses import dataclass

from .._arithmetic.conventions import Convention


@dataclass(frozen=True, eq=False)
class MatchConvention(Convention):
    """A convention of HistogramMatcher, which cannot be chosen."""


REFERENCE = MatchConvention("reference")

CONVENTIONS = {record.name: record for record in (REFERENCE,)}
MatchConvention.records = CONVENTIONS
