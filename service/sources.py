"""Which checkpoints may be loaded at run time: those in the operator's folders, and those the authors published."""

from collections.abc import Sequence
from pathlib import Path

from models.description import CheckpointError, read_description
from service.checkpoint_files import HUB, find_checkpoints
from service.errors import Problem


class Sources:
    """Names are compared with those of files that are there, and never become a path. Looks at the disk every time.

    places: checkpoint files, and folders of them.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places

    def find(self, name: str, checkpoint: str | None = None) -> str:
        """What `read_checkpoint` is to read for a model of this name: the named checkpoint, or the one that says so.

        checkpoint: a file's name, with or without its suffix, or its path; or a published name. Raises Problem 404
        where there is none, and 422 where it could be several.
        """
        files = self._files()
        found = [file for file in files if checkpoint in (file.name, file.stem, str(file))] if checkpoint else []
        found = found or ([] if checkpoint else [file for file in files if card_name(file) == name])
        if len(found) > 1:
            told = ", ".join(map(str, found))
            raise Problem(
                422,
                "invalid_parameter",
                f"several checkpoints contain {name!r} ({told}): choose one with checkpoint=<path>",
            )
        if found:
            return str(found[0])
        wanted = checkpoint or name
        if _is_published(wanted):
            return f"{HUB}{wanted}"
        known = ", ".join(file.name for file in files) or "none"
        detail = f"no checkpoint {wanted!r} in this server's folders or among the published models; available: {known}"
        raise Problem(404, "checkpoint_not_found", detail)

    def names(self) -> dict[str, str]:
        """The models that the files hold, by name, and the file of each; the first where several say the same."""
        found: dict[str, str] = {}
        for file in self._files():
            found.setdefault(card_name(file) or file.stem, str(file))
        return found

    def _files(self) -> list[Path]:
        try:
            return find_checkpoints(self._places)
        except CheckpointError:
            return []


def card_name(file: Path) -> str | None:
    """The name of the model in a checkpoint; None where it is no checkpoint."""
    try:
        return str(read_description(file)["card"]["name"])
    except (CheckpointError, KeyError, TypeError, ValueError):
        return None


def _is_published(name: str) -> bool:
    from models.hub import PUBLISHED  # it brings the hub's client, which serving does not need

    return name in PUBLISHED
