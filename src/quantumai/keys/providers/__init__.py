"""Who signs: key lifecycle, providers and signature verification. Knows nothing of quantum."""
