"""One adapter a file, each behind `digest.ports.Mailer`."""
