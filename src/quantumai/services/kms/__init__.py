"""The KMS over HTTP: the service and its client, both behind the port `KeyManagement`."""
