"""Who is asking: verifies the token of a request and stores its user in `g`."""
