"""The lines of the table, and how they are printed."""
import statistics
from dataclasses import dataclass


@dataclass
class Line:
    what: str
    reference: str
    ours: str
    ratio: str
    reach: str
    met: str  # yes, no, or why there is no figure

    def cells(self):
        return [self.what, self.reference, self.ours, self.ratio, self.reach, self.met]


HEAD = ["what", "reference", "ours", "ratio", "reach", "met?"]


def yes(condition):
    return "yes" if condition else "**no**"


def spread(values, form):
    """The median, and in brackets the least and the greatest: the noise of this machine."""
    middle = form(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form(min(values))}–{form(max(values))})"


def count(value):
    return f"{value:,.0f}"


def ratio(value):
    return f"{value:.2f}"


def micro(value):
    """Microseconds as people read them."""
    return f"{value / 1000:.2f} ms" if value >= 1000 else f"{value:.0f} µs"


def text(lines):
    rows = [HEAD] + [[cell.replace("**", "") for cell in line.cells()] for line in lines]
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(r, widths)).rstrip() for r in rows)


def markdown(lines):
    rows = [HEAD, ["---"] * len(HEAD)] + [line.cells() for line in lines]
    return "\n".join("| " + " | ".join(r) + " |" for r in rows)
