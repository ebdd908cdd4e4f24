"""A refusal by name: the same codes as the service's closed list (api/prediction/refusals.ts) wherever it has one."""


class Refused(ValueError):
    """What cannot be vouched for. `code` is stable and made for machines, the message says what was seen."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__("%s: %s" % (code, message))
        self.code = code


class MissingTool(FileNotFoundError):
    """A program or package that this machine lacks: no fault of a scan, so it ends the run. The message says what to install."""
