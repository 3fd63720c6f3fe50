"""Kinds of providers: one clear sentence for what cannot be."""

from __future__ import annotations

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.parameters import PARAMETER_SETS, AlgorithmClass
from quantumai.keys.providers.aws_kms_specs import SPECS
from quantumai.keys.providers.known import KNOWN_PROVIDERS, known_provider, require_possible


@pytest.mark.parametrize(
    ("kind", "why", "instead"),
    [
        ("aws-cloudhsm", "PKCS#11 2.40", "provider pkcs11"),
        ("azure-managed-hsm", "RSA, EC and symmetric keys only", "no adapter for Azure"),
    ],
)
def test_clouds_without_post_quantum_keys_say_why(kind: str, why: str, instead: str) -> None:
    for name, entry in PARAMETER_SETS.items():
        if entry.algorithm_class is not AlgorithmClass.POST_QUANTUM:
            continue
        with pytest.raises(BadInputError, match=f"{kind} makes no {name} keys: .*{why}") as caught:
            require_possible(kind, name)
        assert instead in caught.value.hint
    require_possible(kind, "ECDSA-P256")
    require_possible(kind, "RSA-3072-PSS")
    with pytest.raises(BadInputError, match=f"{kind} makes no Ed25519 keys$"):
        require_possible(kind, "Ed25519")
    with pytest.raises(BadInputError, match=f"no adapter of its own for {kind}") as caught:
        known_provider(kind)
    assert instead in caught.value.hint


def test_kinds_with_an_adapter() -> None:
    have = [kind for kind, entry in KNOWN_PROVIDERS.items() if entry.has_adapter]
    assert have == ["soft", "pkcs11", "aws-kms"]
    for kind in have:
        assert known_provider(kind).validation
    with pytest.raises(BadInputError, match="unknown key provider 'vault'") as caught:
        known_provider("vault")
    assert "soft, pkcs11, aws-kms" in caught.value.hint


def test_the_table_says_of_aws_kms_what_its_adapter_does() -> None:
    families = {PARAMETER_SETS[name].family for name in SPECS}
    assert families == KNOWN_PROVIDERS["aws-kms"].families
    with pytest.raises(BadInputError, match=r"aws-kms makes no SLH-DSA-SHA2-128s keys$"):
        require_possible("aws-kms", "SLH-DSA-SHA2-128s")
