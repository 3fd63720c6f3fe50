"""Clients of AWS's APIs through boto3, all made alike."""

from __future__ import annotations

import logging
from typing import Any


def make_boto_client(
    service: str,
    *,
    region: str,
    endpoint_url: str,
    connect_timeout_s: float,
    read_timeout_s: float,
    **config: Any,
) -> Any:
    """A client that never tries again by itself: who calls knows what may be tried again.

    botocore could pause for as long as a header of the answer says. Raises `ImportError` without
    boto3, and `BotoCoreError` or `ValueError` for settings that make no sense.
    """
    import boto3
    from botocore.config import Config

    log = logging.getLogger("botocore")
    log.setLevel(max(logging.INFO, log.level))  # at DEBUG it logs what is signed
    # A session of our own: boto3's default one is shared and not for several threads.
    return boto3.session.Session().client(
        service,
        region_name=region or None,
        endpoint_url=endpoint_url or None,
        config=Config(
            connect_timeout=connect_timeout_s,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=32,
            tcp_keepalive=True,
            **config,
        ),
    )
