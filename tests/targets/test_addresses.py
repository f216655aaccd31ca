"""S08: which addresses may be called, however they are written and whatever a name resolves to."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.core.outcome import PermanentFailure, RetryableFailure, Succeeded
from gateway.targets.addresses import Addresses, AddressRefused
from tests.servers.ports import free_port
from tests.target_server import TargetServer
from tests.targets.calling import attempt, call, configured, outcome_of

LOOPBACK: dict[str, Any] = {"deny": ["127.0.0.0/8", "::1"]}
ELSEWHERE: dict[str, Any] = {"allow": ["10.0.0.0/8"]}
THIS_MACHINE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0.0.0.0]",
    "10.0.0.1%40127.0.0.1",
    "10.0.0.1#@127.0.0.1",
    "①②⑦.⓪.⓪.①",
]


@pytest.fixture
async def server() -> AsyncIterator[TargetServer]:
    async with TargetServer() as server:
        yield server


@pytest.mark.parametrize("addresses", [LOOPBACK, ELSEWHERE], ids=["denied", "not allowed"])
@pytest.mark.parametrize("host", THIS_MACHINE)
async def test_s08_no_spelling_of_an_address_gets_past_the_ranges(
    server: TargetServer, host: str, addresses: dict[str, Any]
) -> None:
    given = attempt({"host": host})

    outcome = await outcome_of(given, url=f"http://{{{{ payload.host }}}}:{server.port}/", addresses=addresses)

    assert not isinstance(outcome, Succeeded)
    assert not server.calls


@pytest.mark.parametrize("account", ["10.0.0.1", "10.0.0.1:80", "user:password"])
async def test_s08_an_account_is_not_taken_for_the_host(server: TargetServer, account: str) -> None:
    outcome = await outcome_of(url=f"http://{account}@127.0.0.1:{server.port}/", addresses=ELSEWHERE)

    assert isinstance(outcome, PermanentFailure)
    assert not server.calls


@pytest.mark.parametrize("kind", ["http", "sse"])
@pytest.mark.parametrize(
    ("host", "addresses", "reason"),
    [
        ("127.0.0.1", LOOPBACK, "127.0.0.1 may not be called: addresses.deny has 127.0.0.0/8"),
        ("[::1]", LOOPBACK, "::1 may not be called: addresses.deny has ::1/128"),
        ("localhost", LOOPBACK, "addresses.deny has"),
        ("127.0.0.1", ELSEWHERE, "127.0.0.1 may not be called: it is not in addresses.allow"),
        ("127.0.0.1", {**LOOPBACK, "allow": ["127.0.0.1"]}, "addresses.deny has 127.0.0.0/8"),
        ("169.254.169.254", {}, "169.254.169.254 may not be called: cloud metadata"),
        ("[::ffff:169.254.169.254]", {}, "cloud metadata"),
        ("[fd00:ec2::254]", {}, "cloud metadata"),
        ("100.64.0.1", {"deny": ["100.64.0.0/10"]}, "addresses.deny has 100.64.0.0/10"),
    ],
)
async def test_s08_a_refused_address_is_final_and_says_by_which_rule(
    kind: str, host: str, addresses: dict[str, Any], reason: str
) -> None:
    given = attempt()

    outcome = await outcome_of(given, kind=kind, url=f"http://{host}:{free_port()}/?token=hush", addresses=addresses)

    assert isinstance(outcome, PermanentFailure)
    assert reason in str(outcome.reason)
    assert reason in given.lines[-1]
    assert "hush" not in given.lines[-1]


async def test_s08_what_is_allowed_is_called(server: TargetServer) -> None:
    for addresses in ({}, {"allow": ["127.0.0.0/8"]}, {"deny": ["10.0.0.0/8"]}):
        assert isinstance(await outcome_of(url=server.url, addresses=addresses), Succeeded)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names resolve to: by name, one answer for each time it is asked for, the last one for ever."""
    known: dict[str, list[list[str]]] = {}

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        left = known[host]
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


async def test_s08_a_name_that_is_rebound_leads_nowhere(
    server: TargetServer, answers: dict[str, list[list[str]]]
) -> None:
    """It is the address that is connected to that counts, not one that somebody looked up before."""
    answers["target.example"] = [["10.255.255.1"], ["127.0.0.1"]]
    assert socket.getaddrinfo("target.example", server.port)[0][4][0] == "10.255.255.1"

    outcome = await outcome_of(url=f"http://target.example:{server.port}/", addresses=ELSEWHERE)

    assert isinstance(outcome, PermanentFailure)
    assert "127.0.0.1 may not be called" in str(outcome.reason)
    assert not server.calls


async def test_s08_of_several_addresses_those_that_may_be_called_are(
    server: TargetServer, answers: dict[str, list[list[str]]]
) -> None:
    answers["both.example"] = [["169.254.169.254", "127.0.0.1"]]
    answers["neither.example"] = [["169.254.169.254", "10.0.0.1"]]
    keys: dict[str, Any] = {"addresses": {"deny": ["10.0.0.0/8"]}}

    assert isinstance(await outcome_of(url=f"http://both.example:{server.port}/", **keys), Succeeded)
    refused = await outcome_of(url=f"http://neither.example:{server.port}/", **keys)

    assert isinstance(refused, PermanentFailure)


async def test_s08_an_address_that_may_be_called_and_does_not_answer_is_tried_again(
    answers: dict[str, list[list[str]]],
) -> None:
    answers["down.example"] = [["169.254.169.254", "127.0.0.1"]]

    outcome = await outcome_of(url=f"http://down.example:{free_port()}/")

    assert isinstance(outcome, RetryableFailure)


async def test_s08_a_kept_connection_was_looked_at_when_it_was_opened(server: TargetServer) -> None:
    async with configured(url=server.url, addresses={"allow": ["127.0.0.1"]}).open() as target:
        assert isinstance(await call(target), Succeeded)
        assert isinstance(await call(target), Succeeded)


@pytest.mark.parametrize("text", ["fe80::1%lo", "::ffff:10.0.0.1", "fd12::1"])
def test_s08_ranges_hold_for_every_form(text: str) -> None:
    with pytest.raises(AddressRefused, match="may not be called"):
        Addresses.model_validate({"deny": ["fe80::/10", "10.0.0.0/8", "fd00::/8"]}).check(text)


def test_s08_metadata_can_be_meant() -> None:
    Addresses.model_validate({"allow": ["169.254.169.254"]}).check("169.254.169.254")


@pytest.mark.parametrize("ranges", [["10.0.0.0/33"], ["example.org"], ["10.0.0.0/8 "], [""], "10.0.0.0/8"])
def test_ranges_that_make_no_sense_are_refused(ranges: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Addresses.model_validate({"deny": ranges})
