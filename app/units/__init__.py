"""Units of work: cut, leased, counted, given back. The database is the truth, a message only a doorbell."""
