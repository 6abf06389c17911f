"""Who may ask, and what a browser may do with the page: checked before any route.

The page is for the browser of this machine. Other sites can send a browser here, by name (DNS
rebinding) or by a form; neither gets further than this.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing but this page's own files; images are also made from what was received or dropped.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))


class Guard:
    """Refuses strangers, and gives every response its headers.

    Args:
        app: What responds to all others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Responds to a request of HTTP; there are no others here."""
        if scope["type"] != "http":
            return
        why = refusal(scope["method"], Headers(scope=scope))
        app = JSONResponse({"error": why}, 403) if why else self.app

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, guarded)


def refusal(method: str, headers: Headers | dict[str, Any]) -> str:
    """Why a request is refused; empty if it is not."""
    host = headers.get("host", "")
    if _hostname(host) not in HOSTS:
        return "this page is only at 127.0.0.1 or localhost"
    if method in ("GET", "HEAD"):
        return ""
    # Browsers send it with every POST, and no site can forge it.
    if headers.get("origin", "") != f"http://{host}":
        return "only this page itself may ask that"
    return ""


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
