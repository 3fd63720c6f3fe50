"""How far this process knows the audit log to be durable; one memory for all its connections."""

from __future__ import annotations

import threading

from quantumai.keys.audit.entry import NOTHING_BEFORE

# A size of the log, and the leaf hash (hex) of its last entry, whose chain holds all before it.
End = tuple[int, str]


class KnownEnd:
    """The furthest end that was ever learned. A log that lacks it was cut off or put back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: End = (0, NOTHING_BEFORE)

    @property
    def end(self) -> End:
        """To be read before the log is looked at: what others write meanwhile is not missing."""
        return self._end

    def learn(self, end: End) -> None:
        """Remember an end that is committed; threads may learn theirs in any order."""
        with self._lock:
            if end[0] > self._end[0]:
                self._end = end
