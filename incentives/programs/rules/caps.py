"""Caps: per deal, then per period, then per participant and program, oldest line first."""

from collections.abc import Iterable

from .facts import Line
from .payers import Draft, Payer, Words
from .schema import Definition


class Caps:
    """What is left under each cap while the lines of one participant go by. None is no limit."""

    def __init__(self, definition: Definition, words: Words, used: int = 0):
        """`used`: what earlier periods took of the participant's cap."""
        caps = definition.caps
        self.words = words
        self.deal, self.period, self.participant = (
            None if cap is None else int(cap.scaleb(words.digits)) for cap in (caps.deal, caps.period, caps.participant)
        )
        self.left_period = self.period
        self.left_participant = None if self.participant is None else max(self.participant - used, 0)
        self.none = self.deal is None and self.period is None and self.participant is None

    def next_period(self) -> None:
        self.left_period = self.period

    def apply(self, drafts: Iterable[tuple[Payer, Draft, int | None]]) -> tuple[Line, ...]:
        """The lines, each with what the caps leave of it; `drafts` are (who pays, draft, version) in order."""
        left_deal: dict[str, int] = {}
        lines = []
        for payer, draft, version in drafts:
            minor, text = draft.minor, draft.explanation
            if not self.none:
                minor, cut = self._cut(draft, left_deal)
                text += cut
            about = draft.key, payer.index, payer.type, draft.fact_id, draft.counted_at
            lines.append(Line(*about, minor, draft.minor, text, version))
        return tuple(lines)

    def _cut(self, draft: Draft, left_deal: dict[str, int]) -> tuple[int, str]:
        minor, text = draft.minor, ""
        if self.deal is not None and draft.per_deal:
            left = left_deal.get(draft.fact_id, self.deal)
            minor, text = self._limited(minor, left, self.deal, "per deal", text)
            left_deal[draft.fact_id] = left - minor
        return self.within(minor, text)

    def within(self, minor: int, text: str = "") -> tuple[int, str]:
        """An amount under the caps of period and participant, and what they cut in words; takes it from what is left."""
        if self.period is not None:
            minor, text = self._limited(minor, self.left_period, self.period, "per period", text)
        if self.participant is not None:
            minor, text = self._limited(minor, self.left_participant, self.participant, "per participant", text)
            self.left_participant -= minor
        if self.period is not None:
            self.left_period -= minor
        return minor, text

    def _limited(self, minor: int, left: int, cap: int, label: str, text: str) -> tuple[int, str]:
        if minor <= left:
            return minor, text
        money = self.words.money
        if left == cap:
            return left, f"{text}, limited to {money(cap)} {label}"
        rest = money(left) if left else "nothing"
        return left, f"{text}, limited to {rest}, the rest of {money(cap)} {label}"
