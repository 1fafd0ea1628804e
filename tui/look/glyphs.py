"""The characters that the dashboard draws with: one set for Unicode terminals, one in ASCII.

`■ ━ ▸` are of ambiguous width in East Asian fonts, hence the second set. Invariant: bars, cells, charts,
pills and marks are one cell wide each, and within one set no two states of one thing share a glyph, so that
the meaning never depends on colour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine import RunState

if TYPE_CHECKING:
    from collections.abc import Mapping


def _of_states(marks: str) -> Mapping[RunState, str]:
    return dict(zip(RunState, marks, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """One set, with that of Unicode terminals as its defaults.

    `cells` has one glyph for each value of `BatchState`; `chart` goes from nothing to a full cell.
    """

    name: str = "unicode"
    bar_earlier: str = "┅"
    """Done by earlier runs."""
    bar_done: str = "━"
    bar_head: str = "╸"
    """The half cell where a bar ends; of the same weight as `bar_done`."""
    bar_rest: str = "─"
    cells: str = "·▸□■✗▪○"
    chart: str = " ▁▂▃▄▅▆▇█"
    failed: str = "✗"
    retry: str = "↻"
    warning: str = "!"
    quarantine: str = "○"
    """Rows in quarantine; a batch without them has the same in `cells`."""
    cursor: str = "▌"
    """Marks the chosen row."""
    folded: str = "▸"
    unfolded: str = "▾"
    branch: str = "└"
    arrow: str = "→"
    separator: str = "·"
    ellipsis: str = "…"
    dash: str = "\N{EN DASH}"
    null: str = "∅"
    waiting: str = "⋯"
    runs: Mapping[RunState, str] = field(default_factory=lambda: _of_states("·⟲▶◼✗✓◐☇"), hash=False)

    @property
    def is_ascii(self) -> bool:
        """Whether the terminal shows nothing but ASCII."""
        return self.name == "ascii"

    def spelled(self, text: str) -> str:
        """Return one of our own sentences in the characters that the terminal has.

        >>> ASCII.spelled("batches 0…"), UNICODE.spelled("batches 0…")
        ('batches 0...', 'batches 0…')
        """
        return text.translate(_IN_ASCII) if self.is_ascii else text


_IN_ASCII = str.maketrans({"…": "...", "\N{EN DASH}": "-", "│": "|", "•": "*", "→": "->", "·": "|"})

UNICODE = Glyphs()

ASCII = Glyphs(
    name="ascii",
    bar_earlier="=",
    bar_done="#",
    bar_head=">",
    bar_rest="-",
    cells=".>+#X=o",
    chart=" ..::||##",
    failed="X",
    retry="@",
    quarantine="o",
    cursor=">",
    folded="+",
    unfolded="-",
    branch="`",
    arrow="->",
    separator="|",
    ellipsis="~",
    dash="-",
    null="null",
    waiting="...",
    runs=_of_states(".@>#X*%!"),
)
