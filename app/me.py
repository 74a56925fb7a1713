"""What is kept of the token's user, and how to have it deleted."""

from flask import Blueprint, Response, g, jsonify

from .parsing import parse_query
from .tasks.store import UserStore
from .validation import QuerySchema

blueprint = Blueprint("me", __name__, url_prefix="/api/me")


@blueprint.get("")
def get() -> Response:
    """Get what is stored of you."""
    parse_query(QuerySchema(), 400)
    return jsonify(UserStore(g.user).get())


@blueprint.delete("")
def delete() -> Response:
    """Delete all of your tasks, the trash included, and your email and name."""
    parse_query(QuerySchema(), 400)
    UserStore(g.user).forget()
    return Response(status=204)
