"""What mailers tell us by HTTP: whether it is them, and what it means for our mails."""
