"""Which keys counted from which leaf to which: key events, status, rotations."""
