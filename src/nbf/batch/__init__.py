"""Photos by the million, on one machine or many: any store of photos -> Parquet, one row a person.

    sources ─► list of photos, cut into parts ─► Ray Data: one predictor an actor ─► a Parquet file a part

A part is done once its file is there, and only whole parts are ever there: so a worker may die, a part may be done
twice and a run may be stopped, and rows are still there exactly once. `job` is what decides that, without Ray; `run` is
all that knows of Ray.
"""

from nbf.batch.rows import bodies
from nbf.batch.schema import SCHEMA

__all__ = ["SCHEMA", "bodies"]
