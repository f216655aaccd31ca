"""Who may use the API: bearer tokens and their roles; without any token, whoever sits at this machine."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web
from yarl import URL

from gateway.core.access import Role, Token, digest_of
from gateway.core.errors import Forbidden, Unverified
from gateway.web.address import parse

_RANKS = {role: rank for rank, role in enumerate(Role)}
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
_OWN_SITE = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; the name is what the records say of who did it."""

    name: str
    role: Role

    def need(self, role: Role) -> None:
        """Raises `Forbidden` for a caller of a lesser role."""
        if _RANKS[self.role] < _RANKS[role]:
            raise Forbidden(f"this takes the role {role}, and {self.name} is {self.role}")


CALLER = web.RequestKey("caller", Caller)
_LOCAL = Caller("local", Role.ADMIN)


def admit(request: web.Request, tokens: Sequence[Token]) -> Caller:
    """Raises `Unverified` for a missing or unknown token, `Forbidden` for what comes from elsewhere."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
        raise Forbidden("a page of another site asks for this")
    if tokens:
        return _bearer(request.headers.get(hdrs.AUTHORIZATION, ""), tokens)
    _refuse_unless_local(request)
    return _LOCAL


def _bearer(authorization: str, tokens: Sequence[Token]) -> Caller:
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unverified("expected Authorization: Bearer and a token")
    given = digest_of(text.strip())
    known = [token for token in tokens if hmac.compare_digest(token.digest, given)]
    if not known:
        raise Unverified("this token is not known")
    return Caller(known[0].name, known[0].role)


def _refuse_unless_local(request: web.Request) -> None:
    """Nobody proves anything here, so neither proxies may ask for others, nor pages for their visitors.

    The host is looked at because a page can have its own name resolved to this machine.
    """
    host = URL.build(scheme="http", authority=request.host).host if request.host else None
    forwarded = any(name in request.headers for name in _FORWARDED)
    if forwarded or not _is_loopback(request.remote) or not (host == "localhost" or _is_loopback(host)):
        raise Forbidden("without access.tokens the API answers on loopback only")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.partition("://")[2] != request.host:
        raise Forbidden("a page of another site asks for this")


def _is_loopback(host: str | None) -> bool:
    address = parse(host or "")
    return address is not None and address.is_loopback
