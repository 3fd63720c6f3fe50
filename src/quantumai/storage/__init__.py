"""Where things are kept: small ports (objects, database) and their adapters."""
