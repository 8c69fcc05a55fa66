"""The HTTP API and the page for browsers: `nbf serve`. Needs the extra `web`."""
