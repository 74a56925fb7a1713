"""The lengths and sizes that the service accepts, each defined once."""

# In Unicode code points.
MAX_TITLE = 200
# By mount; the column holds the longest.
MAX_DESCRIPTION = {"v1": 2000, "api": 1000, "user": 999}
MAX_USER_ID = 255
MAX_EMAIL = 255
MAX_NAME = 100
MAX_TAG = 50
MAX_POSITION = 100
MAX_SEARCH = 200
# Of an unknown name in an error.
MAX_SHOWN_NAME = 200

# In bytes. Proxies pass no header much longer than the token.
MAX_BODY = 64 * 1024
MAX_BATCH_BODY = 1024 * 1024
MAX_TOKEN = 8190

# In items.
MAX_TAGS = 20
MAX_OPERATIONS = 100
DEFAULT_PAGE, MAX_PAGE = 100, 500
DEFAULT_CHANGES, MAX_CHANGES = 500, 1000
MAX_FIELD_ERRORS = 100
MAX_IF_MATCH = 100

# The largest integer that JavaScript holds exactly.
MAX_REV = 2**53 - 1
