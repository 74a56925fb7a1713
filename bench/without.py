"""The product without the part that WITHOUT names (pool or metrics), to measure what the part costs."""

import os
import threading
from typing import Any, NamedTuple

from app import create_app, metrics
from app.db import database
from app.db.timeouts import TimeoutConnection


class Lent(NamedTuple):
    """A thread's own connection, with the methods of SQLAlchemy's pooled ones that the product calls."""

    driver_connection: TimeoutConnection

    def cursor(self) -> Any:
        """A cursor of the connection."""
        return self.driver_connection.cursor()

    def close(self) -> None:
        """Keep the connection for the thread's next request."""


own = threading.local()


def check_out(engine: Any) -> Lent:
    """The thread's connection, taken from SQLAlchemy's pool once."""
    if not hasattr(own, "lent"):
        pooled = engine.raw_connection()
        own.lent = Lent(pooled.driver_connection)
        pooled.detach()
    return own.lent  # type: ignore[no-any-return]


part = os.environ["WITHOUT"]
if part == "pool":
    database._check_out = check_out
if part == "metrics":
    metrics.init_app = lambda app: None
app = create_app()
