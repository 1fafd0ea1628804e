"""`batch-pipeline verify` and `recompute`: find out whether a checkpoint is damaged, and repair it."""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.confirm import Yes, confirm
from engine.cli.sentences import loss_in_words
from engine.cli.streams import print_message, print_result, user_output_on_stderr
from engine.cli.targets import CheckpointDir, OptionalTarget, Target, load_pipeline, open_checkpoint
from engine.text.exit_codes import ExitCode
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine import Report


def verify(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is damaged.")] = False,
    yes: Yes = False,
) -> ExitCode:
    """Check that the checkpoint is not damaged.

    Reads the catalog, every part, the quarantine and the frontier file; exit code 3 if something is wrong.

    --repair makes a missing or damaged catalog again from the parts (the damaged one is kept). If a part or a file of
    the quarantine is missing or damaged, it moves the frontier to the batch before.
    """
    view = open_checkpoint(target, checkpoint_dir)
    if not repair:
        report = view.verify()
        _print(report)
        return _verdict(report)

    def confirm_loss(report: "Report") -> None:
        _print(report)
        plan = report.repair
        if not plan:
            print_message("nothing to repair")
        if plan.loss:
            kept = counted(plan.batches, "batch")
            confirm(f"this keeps {kept} and drops {loss_in_words(plan.loss)}", "Repair?", yes=yes)

    repaired = view.repair(confirm_loss)
    print_message(*map(safe, repaired.done))
    if not repaired.report.sound:
        _print(repaired.report)
    return _verdict(repaired.report)


def _print(report: "Report") -> None:
    for check in report.checks:
        print_result(
            f"{'wrong' if check.faults else 'ok':<6}{check.what}: {safe(check.found)}",
            *(f"      {safe(fault)}" for fault in check.faults),
            *(f"      note: {safe(note)}" for note in check.notes),
        )


def _verdict(report: "Report") -> ExitCode:
    if report.sound:
        print_message("the checkpoint is not damaged")
        return ExitCode.DONE
    print_message("the checkpoint is damaged; `batch-pipeline verify --repair` repairs what can be repaired")
    if report.loss and not report.catalog.faults:
        print_message(
            "if only one part is damaged: `batch-pipeline recompute N TARGET` computes batch N again, "
            "and keeps the batches after it"
        )
    return ExitCode.CHECKPOINT


def recompute(
    n: Annotated[int, typer.Argument(metavar="N", min=0, help="The committed batch whose part is damaged.")],
    target: Target,
    *,
    checkpoint_dir: CheckpointDir = None,
) -> None:
    """Compute batch N again.

    For a part that `verify` names: its rows are fetched again and go through the steps again, and the result replaces
    the damaged part. The batches after it stay as they are.
    """
    with user_output_on_stderr():
        pipeline = load_pipeline(target, checkpoint_dir)
        pipeline.recompute(n)
    print_message(f"batch {n} was computed again in {safe(str(pipeline.checkpoint_dir))}")
