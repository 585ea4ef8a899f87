"""Servers for tests: fakes of X and Mastodon, a starter of the Bluesky PDS, a proxy that fails."""
