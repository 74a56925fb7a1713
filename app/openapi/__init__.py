"""The OpenAPI document, and the page to read it and try it on."""
