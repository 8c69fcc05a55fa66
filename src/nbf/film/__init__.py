"""Films: people followed from frame to frame, one shape each, and motions that are smooth where people are."""
