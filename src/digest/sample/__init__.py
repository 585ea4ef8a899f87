"""A small invented blog, served on this machine: what a first run reads and what tests poke at."""
