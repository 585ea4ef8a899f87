"""Inboxes: mails that readers send us, read for what they ask."""
