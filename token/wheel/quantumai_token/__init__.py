"""The kryoptic PKCS#11 token, compiled: one library without dependencies of its own."""

from pathlib import Path

__all__ = ["library_path"]


def library_path() -> Path:
    """The PKCS#11 library, absolute; for `C_GetFunctionList` and `C_GetInterface`."""
    return Path(__file__).absolute().with_name("libkryoptic_pkcs11.so")
