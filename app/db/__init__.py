"""The database: tables, connections with timeouts, and how statements are sent."""
