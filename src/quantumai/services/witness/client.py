"""A witness over HTTP, as C2SP tlog-witness has it."""

from __future__ import annotations

from quantumai.provenance.public_log.witness import Answer
from quantumai.services.http_fetch import fetch
from quantumai.services.web_address import check_url

_WITHIN_S = 15.0
_LONGEST_ANSWER = 1 << 18


class HttpWitness:
    """`WitnessEndpoint` below a submission prefix."""

    def __init__(self, prefix: str, within_s: float = _WITHIN_S) -> None:
        self._url = check_url(prefix) + "/add-checkpoint"
        self._within_s = within_s

    def add_checkpoint(self, body: bytes) -> Answer:
        """See `WitnessEndpoint.add_checkpoint`."""
        answer = fetch(self._url, body=body, most_bytes=_LONGEST_ANSWER, within_s=self._within_s)
        return Answer(answer.status, answer.body, answer.media_type)
