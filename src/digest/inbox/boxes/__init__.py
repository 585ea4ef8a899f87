"""Mailboxes, one file each."""
