"""What Alembic runs to take the steps, on the connection that `migrate` gives it."""

from alembic import context

from lamplighter.database.tables import metadata

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
