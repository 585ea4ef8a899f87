"""Posts as threads of snippets, fitted to each network and planned into slots."""
