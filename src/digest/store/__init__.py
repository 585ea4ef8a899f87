"""The ledger: tables, migrations and queries on SQLite and PostgreSQL."""
