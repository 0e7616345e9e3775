"""Who may ask: the address that was meant, no other website, and only with the token."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping

from lemari.serve_app.answers import Refusal

EVERYWHERE = ("0.0.0.0", "::")


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Checks Host, Origin and token of a request; headers are given in lower case."""

    def __init__(self, host: str, port: int, token: str) -> None:
        own = f"[{host}]" if ":" in host else host
        named = ("localhost", socket.gethostname()) if host in EVERYWHERE else ("localhost",)
        numbers = ("127.0.0.1", "[::1]") if ":" in host else ("127.0.0.1",)
        self.hosts = {f"{name}:{port}" for name in (own, *named, *numbers)}
        self.port, self.every = port, host in EVERYWHERE
        self.token = token.encode()

    def check_host(self, headers: Mapping[str, str]) -> None:
        """403 unless the Host is this server's own, which stops DNS rebinding."""
        if not self.known(headers.get("host", "")):
            raise Refusal(403, "The Host header is not this server's address; use the address "
                          "that it printed.")  # fmt: skip

    def known(self, host: str) -> bool:
        """Whether a host and port mean this server; where it listens everywhere, any number."""
        if host in self.hosts:
            return True
        name, _, port = host.rpartition(":")
        if not self.every or port != str(self.port):
            return False
        try:
            return bool(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return False

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """403 for what another website sends through a browser."""
        origin = headers.get("origin")
        own = origin is None or (
            origin.startswith("http://") and self.known(origin.removeprefix("http://"))
        )
        if not own or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refusal(403, "Requests from other websites are refused; call from a program.")

    def check_token(self, headers: Mapping[str, str]) -> None:
        """401 without the token."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token)
        if kind.lower() != "bearer" or not right:
            raise Refusal(401, "The token is missing or wrong; send the header Authorization: "
                          "Bearer TOKEN.", ((b"www-authenticate", b"Bearer"),))  # fmt: skip
