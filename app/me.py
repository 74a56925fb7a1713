"""What is stored about the token's user, and how to delete it."""

import sqlalchemy as sa
from flask import Blueprint, Response, g, jsonify

from .db.clauses import THIS_USER
from .db.database import read_one, run_transaction
from .db.functions import utc
from .db.models import User
from .maintenance.purge import delete_forgotten
from .parsing import parse_query
from .validation import NO_QUERY

FIND_USER = sa.select(
    User.id, User.email, User.name, User.rev, utc(User.created_at).label("created_at")
).where(THIS_USER)
# The row stays, with a rev above all that a client may hold, so that none of those passes for a new one. Its
# `forgotten_rev` hides the tasks at once.
FORGET_USER = (
    sa.update(User)
    .where(THIS_USER, User.created_at.is_not(None))
    .values(
        rev=User.rev + 1,
        purged_rev=User.rev + 1,
        purge_count=User.purge_count + 1,
        forgotten_rev=User.rev + 1,
        email=None,
        name=None,
        created_at=None,
    )
)
blueprint = Blueprint("me", __name__, url_prefix="/api/me")


@blueprint.get("")
def get() -> Response:
    """Get what is stored about you."""
    parse_query(NO_QUERY, 400)
    user = g.user
    unknown = {"id": user.id, "email": user.email, "name": user.name, "rev": 0, "created_at": None}
    return jsonify(read_one(FIND_USER, {"owner": user.id}) or unknown)


@blueprint.delete("")
def delete() -> Response:
    """Delete all your tasks, including the trash, and your email and name."""
    parse_query(NO_QUERY, 400)
    run_transaction((FORGET_USER,), {"owner": g.user_id})
    # What an interruption leaves is deleted by the next call, or by the purge.
    delete_forgotten(g.user_id)
    return Response(status=204)
