"""Records, their history and members, and leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "records",
        sa.Column("id", row_id, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("lower_name", text, nullable=False),
        sa.Column("uid", text, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", text, nullable=False),
        sa.Column("detail", text, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("reason", text, nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
        sa.UniqueConstraint("kind", "name", name="uq_records"),
        sqlite_autoincrement=True,
    )
    for name, columns in {
        "created": ["kind", "created", "name", "status", "modified", "lower_name", "id"],
        "modified": ["kind", "modified", "name", "status", "created", "lower_name", "id"],
        "name": ["kind", "name", "status", "created", "modified", "lower_name", "id"],
        "status_created": ["kind", "status", "created", "name", "modified", "lower_name", "id"],
        "status_modified": ["kind", "status", "modified", "name", "created", "lower_name", "id"],
        "status_name": ["kind", "status", "name", "created", "modified", "lower_name", "id"],
        "lower_name": ["kind", "lower_name", "created", "name"],
    }.items():
        op.create_index(f"ix_records_{name}", "records", columns)
    op.create_table(
        "transitions",
        sa.Column("record_id", row_id, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("status", text, nullable=False),
        sa.Column("message", text, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_transitions", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "line", name="pk_transitions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "members",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", row_id, nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_members", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", "record_id", name="pk_members"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_members_record_id", "members", ["record_id"])
    op.create_table(
        "leases",
        sa.Column("name", text, nullable=False),
        sa.Column("holder", text, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
