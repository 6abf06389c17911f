"""Images at URLs: requests with retries, fetching ahead, and a cache on this disk."""
