"""Names the platforms that the compiled library runs on in the wheel's tag."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Libraries that every manylinux platform has (PEP 600), as far as a token may want them.
_EVERYWHERE = re.compile(r"(libc|libm|libdl|libpthread|librt|libgcc_s|ld-linux[\w-]*)\.so\.\d+")


class TokenBuildHook(BuildHookInterface[Any]):
    """Any Python 3, but only where the library loads."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Set the tag in `build_data`."""
        library = Path(self.root) / "quantumai_token" / "libkryoptic_pkcs11.so"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(library)}"


def platform_tag(library: Path) -> str:
    """`manylinux_X_Y_ARCH` for the newest glibc symbol that `library` wants (PEP 600).

    `linux_ARCH`, which promises this kind of machine only, if it wants more than glibc.
    """
    headers = subprocess.run(
        ["objdump", "--private-headers", library],
        env={**os.environ, "LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    system, machine = sysconfig.get_platform().replace("-", "_").split("_", 1)
    needed = re.findall(r"^ +NEEDED +(\S+)$", headers, re.MULTILINE)
    versions = re.findall(r"\bGLIBC_(\S+)$", headers, re.MULTILINE)
    numbers = [re.fullmatch(r"(\d+)\.(\d+)(\.\d+)?", version) for version in versions]
    if not numbers or None in numbers or not all(map(_EVERYWHERE.fullmatch, needed)):
        return f"{system}_{machine}"
    major, minor = max((int(number[1]), int(number[2])) for number in numbers if number)
    return f"manylinux_{major}_{minor}_{machine}"
