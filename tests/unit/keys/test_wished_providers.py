"""A wish for a provider that cannot be: what it says, and that nothing has happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.management.kms import Kms
from quantumai.keys.management.records import KeyPurpose
from tests.key_management import ALICE, soft_kms

_PQC, _CLASSICAL = "ML-DSA-44", "ECDSA-P256"


@pytest.fixture
def kms(tmp_path: Path) -> Kms:
    kms = soft_kms(tmp_path)
    for algorithm in (_PQC, _CLASSICAL):
        kms.of(ALICE).create(algorithm.lower(), algorithm, KeyPurpose.RAW)
    return kms


@pytest.mark.parametrize(
    ("provider", "algorithm", "says", "hint"),
    [
        ("aws-cloudhsm", _PQC, "makes no ML-DSA-44 keys: its library is PKCS#11 2.40", "aws-kms"),
        ("aws-cloudhsm", _CLASSICAL, "no adapter of its own for aws-cloudhsm", "provider pkcs11"),
        ("azure-managed-hsm", _PQC, "RSA, EC and symmetric keys only", "aws-kms"),
        ("azure-managed-hsm", _CLASSICAL, "no adapter of its own", "no adapter for Azure"),
        ("pkcs11", _PQC, "this home has no key provider 'pkcs11'", "it has: soft"),
        ("vault", _PQC, "this home has no key provider 'vault'", "it has: soft"),
    ],
)
def test_the_sentence(kms: Kms, provider: str, algorithm: str, says: str, hint: str) -> None:
    with pytest.raises(BadInputError) as caught:
        kms.of(ALICE).rotate(algorithm.lower(), provider=provider)
    assert says in str(caught.value)
    assert hint in caught.value.hint
    assert [(key.version, key.state) for key in kms.of(ALICE).list()] == [(1, "active")] * 2


def test_what_the_kind_lacks_is_said_before_the_home_is_asked(kms: Kms) -> None:
    with pytest.raises(BadInputError, match=r"^aws-kms makes no SLH-DSA-SHA2-128f keys$") as caught:
        kms.parts.provider_for("SLH-DSA-SHA2-128f", "aws-kms")
    assert "ml-dsa" in caught.value.hint.lower()
    assert kms.parts.provider_for("SLH-DSA-SHA2-128f").name == "soft"
