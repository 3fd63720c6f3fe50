"""How many published vectors run, by (published verdict)/(ours); see the tests for each deviation.

Counted once per release of the vectors and compared on every run, so that none vanishes unnoticed.
"""

COUNTS = {
    "ACVP ML-DSA keyGen": "75 key/key",
    "ACVP ML-DSA sigVer": "36 invalid/invalid, 9 valid/valid",
    "ACVP ML-KEM encapDecap": "15 invalid/invalid, 105 secret/secret, 15 valid/valid",
    "ACVP ML-KEM keyGen, encapsulationKeyCheck": "15 invalid/invalid, 50 key/key, 15 valid/valid",
    "ACVP SLH-DSA sigGen": "168 valid/valid",
    "ACVP SLH-DSA sigVer": "144 invalid/invalid, 24 valid/valid",
    "NIST KAT ML-DSA-44": "100 valid/valid",
    "NIST KAT ML-DSA-65": "100 valid/valid",
    "NIST KAT ML-DSA-87": "100 valid/valid",
    "NIST KAT ML-KEM-1024": "1000 secret/secret",
    "NIST KAT ML-KEM-512": "1000 secret/secret",
    "NIST KAT ML-KEM-768": "1000 secret/secret",
    "RFC 8032 Ed25519 sign.input": "1024 valid/valid",
    "Wycheproof ECDSA-P256": "310 invalid/invalid, 174 valid/valid",
    "Wycheproof ECDSA-P384": "310 invalid/invalid, 194 valid/valid",
    "Wycheproof Ed25519": "63 invalid/invalid, 88 valid/valid",
    "Wycheproof ML-DSA-44 sign": "135 valid/valid",
    "Wycheproof ML-DSA-44 verify": "94 invalid/invalid, 9 invalid/refused, 77 valid/valid",
    "Wycheproof ML-DSA-65 sign": "147 valid/valid",
    "Wycheproof ML-DSA-65 verify": "122 invalid/invalid, 9 invalid/refused, 79 valid/valid",
    "Wycheproof ML-DSA-87 sign": "129 valid/valid",
    "Wycheproof ML-DSA-87 verify": "161 invalid/invalid, 9 invalid/refused, 71 valid/valid",
    "Wycheproof ML-KEM-1024 decapsulation": "46 invalid/invalid, 165 valid/valid",
    "Wycheproof ML-KEM-1024 keys": "136 invalid/invalid, 100 key/key, 133 valid/valid",
    "Wycheproof ML-KEM-512 decapsulation": "6 invalid/invalid, 3 valid/valid",
    "Wycheproof ML-KEM-512 keys": "128 invalid/invalid, 133 valid/valid",
    "Wycheproof ML-KEM-768 decapsulation": "46 invalid/invalid, 164 valid/valid",
    "Wycheproof ML-KEM-768 keys": "132 invalid/invalid, 100 key/key, 133 valid/valid",
    "Wycheproof RSA-3072-PSS": "45 invalid/invalid, 63 valid/valid",
}
