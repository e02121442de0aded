"""Machine code of compiled loops, kept from one process to the next."""
