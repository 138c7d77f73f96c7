"""Metrics: their series, samples, and how far each source has been read."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "metric_series",
        sa.Column("id", row_id, nullable=False),
        sa.Column("namespace", text, nullable=False),
        sa.Column("dimensions", sa.Text(), nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("unit", text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_metric_series"),
        sa.UniqueConstraint("namespace", "dimensions", "name", "unit", name="uq_metric_series"),
    )
    op.create_table(
        "metric_samples",
        sa.Column("series_id", row_id, nullable=False),
        sa.Column("period_s", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.Double(), nullable=False),
        sa.Column("count", sa.Double(), nullable=False),
        sa.Column("minimum", sa.Double(), nullable=False),
        sa.Column("maximum", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["metric_series.id"], name="fk_metric_samples", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("series_id", "period_s", "at", "place", name="pk_metric_samples"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric_sources",
        sa.Column("source", text, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_metric_sources"),
        sqlite_with_rowid=False,
    )
