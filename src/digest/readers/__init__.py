"""Subscribers, consent, preferences, suppression, tokens."""
