"""A user's tasks: fields, routes, validation and statements."""
