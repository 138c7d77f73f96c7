"""Which record owns a record, which node works on it, where its tasks were placed and which were refused."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("records", sa.Column("owner_kind", text))
    op.add_column("records", sa.Column("owner_name", text))
    op.add_column("records", sa.Column("owner_uid", text, nullable=False, server_default=""))
    op.add_column("records", sa.Column("node", text, nullable=False, server_default=""))
    op.add_column("records", sa.Column("placements", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("records", sa.Column("refusals", sa.Text(), nullable=False, server_default="{}"))
    owned = sa.text("owner_kind IS NOT NULL")
    columns = ["owner_uid", "kind", "created", "name"]
    op.create_index("ix_records_owner", "records", columns, sqlite_where=owned, postgresql_where=owned)
    _move_refusals()
    if op.get_bind().dialect.name == "sqlite":
        # The one server of a home held its lease under another name; it has ended, or this one could not have started.
        op.execute("DELETE FROM leases")


def _move_refusals() -> None:
    """What was refused stood in a member of the state, which belongs to the families."""
    records = sa.table("records", sa.column("id"), sa.column("state"), sa.column("refusals"))
    connection = op.get_bind()
    holding = sa.select(records.c.id, records.c.state).where(records.c.state.contains('"refusals"'))
    for record_id, text in connection.execute(holding).all():
        state = json.loads(text)
        refusals = state.pop("refusals", {})
        new = {"state": _as_text(state), "refusals": _as_text(refusals)}
        connection.execute(sa.update(records).where(records.c.id == record_id).values(new))


def _as_text(members: dict[str, object]) -> str:
    return json.dumps(members, separators=(",", ":"))
