"""What the `flask` commands do to stored tasks: remove old ones, fill in columns, create samples."""
