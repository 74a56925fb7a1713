"""The OpenAPI document and the page that shows it, without a token."""

from importlib.resources import files
from pathlib import Path

from flask import (
    Blueprint,
    Response,
    current_app,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from werkzeug.exceptions import NotFound

from ..config import ROOT
from .document import openapi_document

# The page's files and their folders; Swagger UI's come with the package, and the document links to api.md.
STATIC = Path(__file__).parent / "static"
SWAGGER_UI = Path(str(files("flask_swagger_ui"))) / "dist"
FILES = {
    "api.md": ROOT / "docs",
    "docs.js": STATIC,
    "docs.css": STATIC,
    "swagger-ui-bundle.js": SWAGGER_UI,
    "swagger-ui.css": SWAGGER_UI,
    "favicon-32x32.png": SWAGGER_UI,
}
# Nothing inline and nothing from other hosts; Swagger UI has its icons in data URLs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
blueprint = Blueprint("openapi", __name__, template_folder="templates")


@blueprint.get("/openapi.json")
def document() -> Response:
    """Get this document."""
    response = Response(openapi_document(current_app), mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def page() -> Response:
    """Read about the API and try it in a browser."""
    _refuse_when_off()
    response = Response(render_template("docs.html"))
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def file(name: str) -> Response:
    """Get one of the page's files."""
    _refuse_when_off()
    return send_from_directory(FILES[name], name)


@blueprint.get("/")
def index() -> Response:
    """Redirect to the page, or to the document if the page is off."""
    endpoint = "openapi.page" if current_app.config["DOCS"] else "openapi.document"
    return Response(status=302, headers={"Location": url_for(endpoint)})


for _name in FILES:
    blueprint.add_url_rule(f"/docs/{_name}", "file", file, defaults={"name": _name})


def _refuse_when_off() -> None:
    if not current_app.config["DOCS"]:
        raise NotFound
