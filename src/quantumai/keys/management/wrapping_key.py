"""The key that wraps a tenant's data keys; once it is destroyed nothing unwraps them again.

It is made on first use, like every key of the home itself. A rotation makes new data keys follow;
the former version goes on unwrapping, until it is destroyed for itself.
"""

from __future__ import annotations

from quantumai.errors import DeniedError, ErasedError
from quantumai.keys.management import data_keys
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.records import KeyVersion
from quantumai.keys.management.states import KeyState, KeyUse, require_use


class WrappingKey:
    """The `tenant-data` key of the tenant that `keys` call for."""

    def __init__(self, keys: InternalKeys) -> None:
        self._keys = keys

    @property
    def tenant(self) -> str:
        """Whose key it is."""
        return self._keys.tenant

    def current(self) -> int:
        """The version that wraps now, made on first use.

        Raises `ErasedError` where all of the tenant's data were erased, `DeniedError` where the
        key is disabled, compromised or about to be destroyed.
        """
        key = self._keys.ensure(TENANT_DATA)
        _require(key, KeyUse.WRAP)
        return key.version

    def wrap(self, data_key: bytes, associated_data: bytes) -> bytes:
        """The wrapped form of `data_key`. Raises as `current` does."""
        self.current()
        return self._keys.wrap(TENANT_DATA, data_key, associated_data)

    def unwrap(self, wrapped: bytes, associated_data: bytes) -> bytes:
        """The data key inside. Raises as `require_opens`, `BadInputError` if it was changed."""
        self.require_opens(wrapped)
        try:
            return self._keys.unwrap(TENANT_DATA, wrapped, associated_data)
        except DeniedError:
            self.require_opens(wrapped)  # destroyed in between?
            raise

    def require_opens(self, wrapped: bytes) -> None:
        """Raise `ErasedError` if the version that wrapped this was destroyed.

        Raises `DeniedError` if it may not unwrap for another reason. It costs a look into the
        register and is not audited, so that whoever keeps a data key in memory can ask each time.
        """
        version = data_keys.version_of(wrapped)
        _require(self._keys.version(TENANT_DATA, version), KeyUse.UNWRAP)


def _require(key: KeyVersion, use: KeyUse) -> None:
    if key.state is KeyState.DESTROYED:
        raise ErasedError(
            f"the data of tenant {key.tenant} were erased: key {key.label} is destroyed",
            hint="what the ledger says of them still holds, and so does evidence that was exported",
        )
    if key.state is KeyState.DESTROY_SCHEDULED:
        raise DeniedError(
            f"the data of tenant {key.tenant} are to be erased: key {key.label} is {key.state}",
            hint=f"until {key.destroy_at}: qai kms keys cancel-destroy {key.name}, then enable it",
        )
    require_use(key.state, use, key.label)
