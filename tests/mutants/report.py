"""What a run comes to: a table of the modules for the terminal, and the page in docs/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from tests.mutants.excused import Excuse
from tests.mutants.generate import Mutant
from tests.mutants.results import Result, digest_of

MOST = 0.02
"""Of all mutants, so many may be excused."""

FATES = ("killed", "timed out", "same graphs", "excused", "survived", "not tried")

HEAD = """\
# Mutants

Written by `make mutants`; what is below is what it found.

A mutant is the core with one small change: a comparison turned, an argument left out, a number one higher, an entry of
a table pointing elsewhere. The operators are those of mutmut, applied to all functions and to what runs when a module
is imported: classes, defaults, tables. If a test fails or does not end, the mutant is dead. What all tests let pass is
a gap in them, dead code, or the same program. That it is the same is shown where the changed line runs while the
checker's graphs are made, and the digest of each graph, with its reasons and error texts, is unchanged (*same graphs*);
or it is *excused*, for a reason given below. At most {most:.0%} may be either; a survivor fails the run. The store for
SQLite is held to the same: in each of its statements each condition in turn holds for everything
(`WHERE (seq = ? OR 1)`).

{counts} ({share:.2%}). {cost}
"""


@frozen
class Report:
    """By module how many of each fate; who survived; who is excused, and why; the seconds of work that it took."""

    modules: dict[str, dict[str, int]]
    survivors: list[Mutant]
    excused: list[tuple[Mutant, str]]
    seconds: float

    @classmethod
    def of(cls, mutants: Sequence[Mutant], known: Mapping[str, Result], excuses: Sequence[Excuse]) -> Report:
        """`known` has the results by the digest of the mutant."""
        modules: dict[str, Counter[str]] = {}
        survivors: list[Mutant] = []
        excused: list[tuple[Mutant, str]] = []
        seconds = 0.0
        for mutant in mutants:
            result = known.get(digest_of(mutant))
            seconds += result.seconds if result else 0
            fate = result.fate if result else "not tried"
            if fate == "survived":
                reason = next((excuse.reason for excuse in excuses if excuse.covers(mutant)), "")
                if reason:
                    fate = "excused"
                    excused.append((mutant, reason))
                else:
                    survivors.append(mutant)
            modules.setdefault(mutant.module, Counter())[fate] += 1
            if result and fate == "same graphs":
                excused.append((mutant, f"the graphs of {result.by} are the same"))
        rows = {name: {fate: counts[fate] for fate in FATES} for name, counts in modules.items()}
        return cls(rows, survivors, excused, seconds)

    @property
    def total(self) -> int:
        return sum(sum(row.values()) for row in self.modules.values())

    @property
    def share(self) -> float:
        """How much of all is excused."""
        return len(self.excused) / self.total if self.total else 0.0

    @property
    def good(self) -> bool:
        return not self.survivors and self.share <= MOST and not self.untried

    @property
    def untried(self) -> int:
        """How many have no result yet."""
        return sum(row["not tried"] for row in self.modules.values())

    def as_json(self) -> dict[str, object]:
        return {
            "modules": self.modules,
            "mutants": self.total,
            "survivors": [{"name": each.name, "change": each.difference} for each in self.survivors],
            "excused": [{"name": m.name, "change": m.difference, "reason": why} for m, why in self.excused],
            "seconds": round(self.seconds),
            "ok": self.good,
        }


def table(report: Report) -> str:
    """For the terminal: the modules, and every survivor with its change."""
    lines = [f"{'module':26} {'mutants':>8} " + " ".join(f"{fate:>11}" for fate in FATES)]
    for name, row in _rows(report):
        counts = " ".join(f"{row[fate]:>11,}" for fate in FATES)
        lines.append(f"{name:26} {sum(row.values()):>8,} {counts}")
    for mutant in report.survivors:
        lines += [
            "",
            f"survived: {mutant.name}, line {mutant.at}",
            f"  - {mutant.before}",
            f"  + {mutant.after}",
        ]
    told = f"{len(report.survivors)} survived, {len(report.excused)} excused ({report.share:.2%})"
    return "\n".join([*lines, "", f"{told}; {report.seconds / 60:.0f} minutes of work"])


def page(report: Report) -> str:
    """docs/mutants.md."""
    counts = f"{report.total:,} mutants, {len(report.survivors)} survived, {len(report.excused)} excused"
    counts += f", {report.untried:,} not tried yet" if report.untried else ""
    lines = [
        HEAD.format(most=MOST, counts=counts, share=report.share, cost=_cost(report)),
        "| module | mutants | " + " | ".join(FATES) + " |",
        "| --- | ---: | " + " | ".join("---:" for _ in FATES) + " |",
    ]
    for name, row in _rows(report):
        counts = " | ".join(f"{row[fate]:,}" for fate in FATES)
        lines.append(f"| {name} | {sum(row.values()):,} | {counts} |")
    if report.survivors:
        lines += ["", "## Left", ""]
        lines += [f"- {_changed(mutant)}" for mutant in report.survivors]
    lines += ["", "## Excused", ""]
    if not report.excused:
        lines.append("None.")
    for reason, mutants in _by_reason(report.excused):
        lines += [f"{reason[:1].upper()}{reason[1:]}:", ""]
        lines += [f"- {_changed(mutant)}" for mutant in mutants]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cost(report: Report) -> str:
    if report.untried:
        return "`make mutants` goes on where the last run ended."
    return f"A whole run takes about {report.seconds / 60:.0f} minutes of one core's time."


def _rows(report: Report) -> Iterable[tuple[str, Mapping[str, int]]]:
    total = {fate: sum(row[fate] for row in report.modules.values()) for fate in FATES}
    return [*report.modules.items(), ("all", total)]


def _by_reason(excused: Sequence[tuple[Mutant, str]]) -> Iterable[tuple[str, list[Mutant]]]:
    found: dict[str, list[Mutant]] = {}
    for mutant, reason in excused:
        found.setdefault(reason, []).append(mutant)
    return found.items()


def _changed(mutant: Mutant) -> str:
    return f"`{mutant.module}`, `{mutant.owner}`: {_code(mutant.before)} became {_code(mutant.after)}"


def _code(text: str) -> str:
    """As code in Markdown, whatever is in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else "nothing"
