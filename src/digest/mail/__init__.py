"""The delivery ledger's decisions, messages, and the mailers."""
