"""What a theorem on rates is answered with: its own number beside one computed without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dynamics.methods.base import Method
from dynamics.spectra import Stability
from evidence.enclosure import Enclosure

__all__ = ["Condition", "Margin", "Rate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One inequality of a theorem, as a number that has to be positive.

    Attributes
    ----------
    text : str
        The inequality, in the letters of the function that made it.
    value : Enclosure
        Right side minus left side at the deciding singular value.
    is_printed : bool
        Whether the publication has it; False for one that it lacks.

    Examples
    --------
    >>> margin = Margin(text="A < 1", value=Enclosure.exact(0.75), is_printed=True)
    >>> margin.is_positive, Margin(text="", value=Enclosure(-1, 1), is_printed=True).is_positive
    (True, None)
    """

    text: str
    value: Enclosure
    is_printed: bool

    @property
    def is_positive(self) -> bool | None:
        """Whether the inequality holds; None where the enclosure does not decide it."""
        if self.value.lower > 0.0:
            return True
        return False if self.value.upper <= 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A theorem of the form "converges if and only if", on one game and method.

    Attributes
    ----------
    holds : bool or None
        Whether all inequalities hold at all singular values (errata included); None if balls do
        not decide it.
    margins : tuple of Margin
        The inequalities at the singular value where the smallest is least; empty if the theorem
        says "never".
    computed : Stability
        The verdict from the characteristic polynomial, which shares no code with ``margins``.
    theorem : str
        Where the condition is published.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear
    >>> from dynamics.rates import gradient_descent_condition
    >>> found = gradient_descent_condition(Bilinear(1.0), GDA(0.5))
    >>> found.holds, found.computed.verdict, found.agrees
    (False, 'unstable', True)
    """

    holds: bool | None
    margins: tuple[Margin, ...]
    computed: Stability
    theorem: str

    @property
    def printed_holds(self) -> bool | None:
        """The same without the errata: what the inequalities that are in print say."""
        if not self.margins:
            return self.holds
        return _all([m.is_positive for m in self.margins if m.is_printed])

    @property
    def agrees(self) -> bool | None:
        """Whether theorem and computation say the same; None if one of them is undecided."""
        if self.holds is None or self.computed.verdict == "inconclusive":
            return None
        return self.holds == (self.computed.verdict == "stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A theorem on how fast, on one game and method.

    Attributes
    ----------
    computed : Enclosure
        The quantity for this game and method, computed without the theorem.
    theoretical : Enclosure
        What the theorem says it is, or is at most, or at least.
    kind : {"tight", "upper", "lower"}
        ``tight``: theorem and computation are the same number. ``upper``: ``computed`` is at most
        ``theoretical``. ``lower``: at least.
    method : Method or None
        The method the numbers belong to, with its steps rounded to floats where it has such.
    quantity : str
        What is enclosed.
    theorem : str
        Where it is published.

    Examples
    --------
    >>> from dynamics.rates import simultaneous_growth
    >>> found = simultaneous_growth(1.0, 0.5)
    >>> found.kind, 1.25 in found.theoretical, 1.25 in found.computed, found.is_consistent
    ('tight', True, True, True)
    """

    computed: Enclosure
    theoretical: Enclosure
    kind: Literal["tight", "upper", "lower"]
    method: Method | None
    quantity: str
    theorem: str

    @property
    def is_consistent(self) -> bool:
        """False if the two enclosures contradict what ``kind`` says."""
        if self.kind == "upper":
            return self.computed.lower <= self.theoretical.upper
        if self.kind == "lower":
            return self.computed.upper >= self.theoretical.lower
        return self.computed.overlaps(self.theoretical)


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True
