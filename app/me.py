"""What is stored about the token's user, and how to delete it."""

from flask import Blueprint, Response, g, jsonify

from .parsing import parse_query
from .tasks.store import UserStore
from .validation import NO_QUERY

blueprint = Blueprint("me", __name__, url_prefix="/api/me")


@blueprint.get("")
def get() -> Response:
    """Get what is stored about you."""
    parse_query(NO_QUERY, 400)
    return jsonify(UserStore(g.user).get())


@blueprint.delete("")
def delete() -> Response:
    """Delete all your tasks, including the trash, and your email and name."""
    parse_query(NO_QUERY, 400)
    UserStore(g.user).forget()
    return Response(status=204)
