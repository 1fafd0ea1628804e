"""`batch-pipeline verify [--repair]`: is the checkpoint whole, and if not, make it so."""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.confirm import require_agreement
from engine.cli.sentences import loss_in_words
from engine.cli.streams import out, say
from engine.cli.targets import CheckpointDir, OptionalTarget, Place, Yes, place
from engine.text.exit_codes import ExitCode
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine.checkpoint.layout import Layout
    from engine.checkpoint.recovery.report import Report


def verify(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is wrong.")] = False,
    yes: Yes = False,
) -> ExitCode:
    """Check that the checkpoint is whole.

    Reads the catalog, every part, the quarantine and the mirror file; exit code 3 when something is wrong.

    With --repair a missing or damaged catalog is made anew from the parts (the damaged one is kept), and a
    missing or damaged part, or file of the quarantine, puts the frontier before its batch.
    """
    from engine.checkpoint.recovery.verify import held
    from engine.checkpoint.recovery.verify import verify as verified

    where = place(target, checkpoint_dir)
    where.checkpoint.require()
    with held(where.folder) as layout:
        report = verified(layout)
        _print(report)
        if not repair:
            return _verdict(report)
        _repair(layout, report, yes=yes)
    return _settled(where)


def _print(report: "Report") -> None:
    for check in report.checks:
        out(f"{'wrong' if check.faults else 'ok':<6}{check.what}: {safe(check.found)}")
        for fault in check.faults:
            out(f"      {safe(fault)}")
        for note in check.notes:
            out(f"      note: {safe(note)}")


def _verdict(report: "Report") -> ExitCode:
    if report.sound:
        say("the checkpoint is whole")
        return ExitCode.DONE
    say("the checkpoint is damaged; `batch-pipeline verify --repair` mends what can be mended")
    if report.loss and not report.catalog.faults:
        say("one part alone: `batch-pipeline recompute N TARGET` computes batch N again and keeps what is behind it")
    return ExitCode.CHECKPOINT


def _repair(layout: "Layout", report: "Report", *, yes: bool) -> None:
    from engine.checkpoint.recovery.repair import carry_out
    from engine.checkpoint.recovery.report import Means

    plan = report.repair
    if plan.means is Means.NOTHING:
        say("nothing to repair")
    if plan.loss:
        kept = counted(plan.batches, "batch")
        require_agreement(f"this keeps {kept} and drops {loss_in_words(plan.loss)}", "Repair?", yes=yes)
    for sentence in carry_out(layout, plan):
        say(safe(sentence))


def _settled(where: Place) -> ExitCode:
    """Open the checkpoint as a run would, which tidies up the rest, and look at it once more."""
    from engine.checkpoint.recovery.verify import held
    from engine.checkpoint.recovery.verify import verify as verified

    with where.checkpoint.open() as store:
        for notice in store.notices if store else ():
            say(safe(notice))
    with held(where.folder) as layout:
        report = verified(layout)
    if not report.sound:
        _print(report)
    return _verdict(report)
