"""Progress of a run on the terminal: a bar over epochs, one over the epoch's steps, a line per finished epoch."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.run import EpochRecord


class ConsoleProgress:
    """Use as a context manager around `fit`."""

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Progress(*columns, console=self.console)
        self.epochs = self.bars.add_task("epochs", total=epochs)
        self.steps = self.bars.add_task("steps")

    def __enter__(self) -> "ConsoleProgress":
        self.bars.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.bars.stop()

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.bars.update(self.epochs, completed=epoch)
        self.bars.update(self.steps, completed=step, total=steps, description=f"loss {loss:.3f}")

    def epoch(self, record: EpochRecord) -> None:
        self.bars.update(self.epochs, completed=record.epoch + 1)
        name, value = next(iter(record.validation.items()))
        self.console.print(
            f"epoch {record.epoch + 1}: training loss {record.train_loss:.3f}, "
            f"validation {name} {value:.3f} ({record.seconds:.0f} s)"
        )

    def finished(self, checkpoint: Path) -> None:
        folder = checkpoint.parent
        self.bars.update(self.epochs, completed=self.bars.tasks[self.epochs].total)
        self.console.print(f"checkpoint {checkpoint}, metrics {folder / 'metrics.json'}, curve {folder / 'curve.png'}")
        self.console.print(f"serve it: unireplknet serve --checkpoints {checkpoint}")
