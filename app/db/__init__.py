"""The database: its tables, its connections, their time limits, and how statements are sent."""
