"""What is stored of the token's user, and its deletion."""

from flask import Blueprint, Response, g, jsonify

from .parsing import parse_query
from .tasks.store import UserStore
from .validation import NO_QUERY

blueprint = Blueprint("me", __name__, url_prefix="/api/me")


@blueprint.get("")
def get() -> Response:
    """Get what is stored of you."""
    parse_query(NO_QUERY, 400)
    return jsonify(UserStore(g.user).get())


@blueprint.delete("")
def delete() -> Response:
    """Delete all of your tasks, the trash included, and your email and name."""
    parse_query(NO_QUERY, 400)
    UserStore(g.user).forget()
    return Response(status=204)
