"""What the matrix demands of each bug, and how a row is shown."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tests.matrix.layers import LAYERS, Layer
from tests.matrix.patches import Patch
from tests.matrix.trees import Verdict

NAMED, KEPT, KILLED, SURVIVED, BLIND, UNTRIED = "●", "○", "×", "–", "", "·"

LEAST = 2
"""Layers that must kill each bug."""


@frozen
class Row:
    """A bug, and the verdicts of the layers that see it, by their names."""

    patch: Patch
    verdicts: dict[str, Verdict]

    def cell(self, layer: str) -> str:
        """How the layer took it: the failure names a property that the bug breaks, or the failed test is one of such a
        property, or it is another's; survived; not tried; not this layer's business."""
        verdict = self.verdicts.get(layer)
        if verdict is None:
            return UNTRIED if layer in {one.name for one in seeing(self.patch, LAYERS)} else BLIND
        if not verdict.killed:
            return SURVIVED
        broken = {*self.patch.breaks}
        return NAMED if broken & {*verdict.seen} else KEPT if broken & {*verdict.kept} else KILLED

    @property
    def killers(self) -> list[str]:
        """The layers that killed it, the small ones first."""
        return [layer.name for layer in LAYERS if self.cell(layer.name) in (NAMED, KEPT, KILLED)]

    @property
    def named(self) -> list[str]:
        """Those of its properties that a failure or a failed test named; its number does not stand for them."""
        names = {name for verdict in self.verdicts.values() if verdict.killed for name in verdict.names}
        return [name for name in self.patch.breaks if name in names]


def faults(row: Row) -> list[str]:
    """What is wrong with the row: it survived, or one layer alone saw it, or nobody said which property it breaks."""
    said: list[str] = []
    broken = "".join(f" {name}" for name in row.patch.breaks)
    if not row.killers:
        said.append(f"{row.patch.id} survives ({row.patch.bug}): write a test of{broken}")
    elif len(row.killers) < LEAST:
        said.append(
            f"{row.patch.id} is killed by {row.killers[0]} alone: another layer should see{broken} break"
        )
    if row.killers and not row.named:
        said.append(
            f"{row.patch.id} is killed, but no failure names{broken}: cite it where the test says what it keeps"
        )
    elif row.killers and row.patch.id.startswith("K") and row.cell(row.killers[0]) == KILLED:
        said.append(
            f"{row.patch.id}: the first layer to fail, {row.killers[0]}, names none of{broken}: cite it in "
            f"{row.verdicts[row.killers[0]].first}"
        )
    return said


def seeing(patch: Patch, layers: Sequence[Layer]) -> list[Layer]:
    """The layers that are about the patched file."""
    return [layer for layer in layers if layer.part(patch.file) is not None]
