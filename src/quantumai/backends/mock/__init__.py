"""A scripted vendor, with all that goes wrong at real ones."""
