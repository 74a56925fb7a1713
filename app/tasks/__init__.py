"""A user's tasks: the routes, what they accept, and the statements behind them."""
