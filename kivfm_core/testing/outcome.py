"""How a check ends when it does not pass. Torch-free."""

from __future__ import annotations


class Finding(Exception):
    """The teacher is not what it declares.

    Args:
        message: What is wrong, in one sentence.
        fix: What repairs it.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix

    def __str__(self) -> str:
        return f"{self.message}\nfix: {self.fix}"


class NotChecked(Exception):
    """The check could not be made.

    Args:
        reason: Why.
        fix: What makes it possible, if anything does.
    """

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.message, self.fix = reason, fix

    def __str__(self) -> str:
        return f"{self.message} ({self.fix})" if self.fix else self.message
