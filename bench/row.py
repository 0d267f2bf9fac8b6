"""A row of the table."""

from dataclasses import dataclass


@dataclass
class Row:
    what: str
    ours: float
    reference: float
    unit: str = ""
    ratio: float = None       # at most, ours to the reference
    limit: float = None       # at most, ours alone
    ours_cut: bool = False    # the figure is where the run was cut off: it is at least that
    reference_cut: bool = False
    target: str = None        # in words, where neither says it
    met: bool = None
    note: str = ""
