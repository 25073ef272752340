"""The SQL database: engine, tables, migrations, and presence across restarts."""
