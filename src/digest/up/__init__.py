"""`digest up`: all of digest on one machine, as children of one supervisor."""
