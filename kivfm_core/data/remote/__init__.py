"""Images at URLs: where they lie, reading parts of them, ahead of time and with retries."""
