"""Channels: one small adapter a file, behind `digest.ports.Channel`."""
