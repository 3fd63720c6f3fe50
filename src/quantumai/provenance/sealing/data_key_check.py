"""Whether every stored data key is one, and opens for its tenant and number.

The provider is asked directly: looking is no use of the key, and is not audited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from quantumai.errors import QuantumAIError
from quantumai.keys.management import data_keys
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.self_check import HELD
from quantumai.provenance.sealing.tenant_cipher import bound_data_key
from quantumai.storage.objects import ObjectStore

_NAME = re.compile(r"data-keys/([A-Za-z0-9][A-Za-z0-9._-]{0,62})/([0-9]{10})")


def data_key_problems(objects: ObjectStore, parts: KmsParts) -> Iterator[str]:
    """What is wrong with the objects under data-keys/.

    One whose wrapping key was destroyed or is compromised cannot be opened; then its form has to
    do.
    """
    for name in objects.keys("data-keys/"):
        found = _NAME.fullmatch(name)
        if found is None:
            yield f"object {name} belongs to nothing"
            continue
        try:
            _open(objects.get(name), parts, found[1], int(found[2]))
        except QuantumAIError as error:
            yield f"object {name}: {error}"


def _open(wrapped: bytes, parts: KmsParts, tenant: str, number: int) -> None:
    version = data_keys.version_of(wrapped)
    key = parts.register.version(tenant, TENANT_DATA, version)
    ciphertext = data_keys.ciphertext_of(key.algorithm, wrapped)
    if key.state in HELD:
        secret = parts.provider(key.provider).decapsulate(key.handle, ciphertext)
        bound = bound_data_key(tenant, number)
        data_keys.open_sealed(key.algorithm, secret, wrapped, bound)
