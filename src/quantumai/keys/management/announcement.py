"""The announcement of a rotation: one statement, signed by who vouches and by the new key.

It is made before the new key takes over, and kept in the register until the ledger has it. Who
vouches is the former key; after a compromise it is the root.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from quantumai.canonical import canonical_json
from quantumai.keys.dsse_encoding import (
    IN_TOTO_PAYLOAD_TYPE,
    IN_TOTO_STATEMENT,
    KEY_ROTATION,
    pre_authentication_encoding,
)
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import KeyVersion
from quantumai.keys.providers.port import ProviderKey

# Signs the encoded statement; gives the id of its key and the signature, which is verified.
Vouch = Callable[[bytes], tuple[str, bytes]]


def announce(
    parts: KmsParts,
    former: KeyVersion,
    following: KeyVersion,
    made: ProviderKey,
    vouch: Vouch,
) -> dict[str, Any]:
    """The signed announcement as the register keeps it: payload and signatures in base64."""
    predicate = {
        "name": former.name,
        "former": {
            "key_id": former.key_id,
            "version": former.version,
            "state": str(former.state),
        },
        "following": {
            "key_id": made.public_key.key_id,
            "version": following.version,
            "algorithm": following.algorithm,
            "spki": made.public_key.spki,
            "provider": following.provider,
        },
        "created_at": parts.now(),
    }
    subjects = {"former": former.key_id, "following": made.public_key.key_id}
    payload = canonical_json(
        {
            "_type": IN_TOTO_STATEMENT,
            "subject": [{"name": n, "digest": {"sha256": d}} for n, d in sorted(subjects.items())],
            "predicateType": KEY_ROTATION,
            "predicate": predicate,
        }
    )
    message = pre_authentication_encoding(IN_TOTO_PAYLOAD_TYPE, payload)
    own = parts.signed(following, made.public_key, message)
    signatures = (vouch(message), (made.public_key.key_id, own))
    return {
        "payload": base64.b64encode(payload).decode(),
        "signatures": [[key_id, base64.b64encode(s).decode()] for key_id, s in signatures],
    }
