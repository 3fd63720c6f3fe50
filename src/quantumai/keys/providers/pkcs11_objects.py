"""Which objects in a token are our key pairs, and which key each is.

The token itself is the record, so that all processes agree: a pair is a public and a private object
with the handle as label and one id, `created_at/random`. They cannot be modified, so what was read
of a public half stays true. A half without the other is no key: a process that died while it made
the pair, or another program, left it; `destroy` removes it.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.providers.pkcs11_keys import probe_unreadable, require_sealed
from quantumai.keys.providers.pkcs11_use import public_key_of
from quantumai.keys.providers.port import ProviderKey, check_handle

if TYPE_CHECKING:
    from pkcs11 import Session

_OBJECT_ID = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/[0-9a-f]{16}")


def new_object_id(now: datetime) -> bytes:
    """An id for a new pair; `now` is an aware UTC time."""
    return f"{now:%Y-%m-%dT%H:%M:%SZ}/{secrets.token_hex(8)}".encode()


class TokenObjects:
    """Finds our pairs; remembers what it read of public halves, by object id."""

    def __init__(self) -> None:
        self._public: dict[bytes, PublicKey] = {}
        self._examined: set[bytes] = set()

    def all(self, session: Session) -> tuple[ProviderKey, ...]:
        """All pairs, by name and version. Raises `KeyUnavailableError` if one is there twice."""
        found = {key.handle: key for key in self._pairs(session, None)}
        return tuple(sorted(found.values(), key=lambda key: _place(key.handle)))

    def find(self, session: Session, handle: str) -> ProviderKey | None:
        """The pair with this handle. Raises as `all` does."""
        return next(iter(self._pairs(session, handle)), None)

    def private_half(self, session: Session, handle: str) -> tuple[Any, PublicKey] | None:
        """The private object of a pair, examined once in this process, and its public key.

        Raises `InsecureRefusedError` if it is not sealed or can be read.
        """
        from pkcs11 import ObjectClass

        if self.find(session, handle) is None:
            return None
        for each in _ours(session, ObjectClass.PRIVATE_KEY, handle):
            object_id = _id(each)
            if object_id not in self._public:
                continue
            if object_id not in self._examined:
                require_sealed(each)
                probe_unreadable(each)
                self._examined.add(object_id)
            return each, self._public[object_id]
        return None

    def halves(self, session: Session) -> int:
        """How many halves of pairs are without the other one."""
        from pkcs11 import ObjectClass

        kinds = (ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY)
        public, private = ({_id(each) for each in _ours(session, kind)} for kind in kinds)
        return len(public ^ private)

    def _pairs(self, session: Session, handle: str | None) -> list[ProviderKey]:
        from pkcs11 import Attribute, ObjectClass

        private = {_id(each) for each in _ours(session, ObjectClass.PRIVATE_KEY, handle)}
        found: list[ProviderKey] = []
        for each in _ours(session, ObjectClass.PUBLIC_KEY, handle):
            object_id, label = _id(each), str(each[Attribute.LABEL])
            if object_id not in private or not _is_handle(label):
                continue
            if object_id not in self._public:
                self._public[object_id] = public_key_of(each)
            created_at = object_id.partition(b"/")[0].decode()
            found.append(ProviderKey(label, created_at, self._public[object_id]))
        if len({key.handle for key in found}) != len(found):
            raise KeyUnavailableError("a key is in the token twice", hint="destroy one of them")
        return found


def objects_of(session: Session, handle: str) -> list[Any]:
    """Every object of ours with this handle, private halves first: whole pairs and halves."""
    from pkcs11 import ObjectClass

    kinds = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
    return [each for kind in kinds for each in _ours(session, kind, handle)]


def _ours(session: Session, kind: Any, handle: str | None = None) -> list[Any]:
    from pkcs11 import Attribute

    wanted: dict[Attribute, Any] = {Attribute.CLASS: kind}
    if handle is not None:
        wanted[Attribute.LABEL] = handle
    # The search ends before anything else is asked of the session.
    found = [*session.get_objects(wanted)]
    return [each for each in found if _OBJECT_ID.fullmatch(_id(each))]


def _id(each: Any) -> bytes:
    from pkcs11 import Attribute

    return bytes(each[Attribute.ID])


def _is_handle(label: str) -> bool:
    try:
        return check_handle(label) == label
    except BadInputError:
        return False


def _place(handle: str) -> tuple[str, int]:
    name, _, version = handle.rpartition("/")
    return name, int(version)
