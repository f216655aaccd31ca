"""GitLab, as its hooks and system hooks send."""

import json
from typing import Any

import pytest

from gateway.core.errors import Unverified
from gateway.core.event import Event
from tests.sources.senders import NOW, configured, event, incoming, sent

PROJECT = {"id": 15, "name": "lab", "path_with_namespace": "example/lab", "default_branch": "main"}
PUSH = {"object_kind": "push", "event_name": "push", "ref": "refs/heads/main", "project": PROJECT, "commits": []}


def of(body: dict[str, Any], **headers: str) -> Event:
    return sent("gitlab", json.dumps(body, ensure_ascii=False).encode(), **headers)


def test_push() -> None:
    made = of(PUSH, **{"Idempotency-Key": "f5e5f430", "X-Gitlab-Webhook-UUID": "1"})

    assert (made.type, made.subject, made.object, made.changed) == ("gitlab.push", "example/lab", PROJECT, ())
    assert made.sender_id == "f5e5f430"
    assert made.headers == {
        "content-type": "application/json",
        "user-agent": "GitLab/18.0.0",
        "x-gitlab-event": "Push Hook",
        "x-gitlab-instance": "https://gitlab.example.com",
    }


def test_each_attempt_has_another_uuid_and_is_the_same_delivery() -> None:
    first, second = (of(PUSH, **{"Idempotency-Key": "k", "X-Gitlab-Webhook-UUID": uuid}) for uuid in "12")

    assert first.delivery == second.delivery


def test_versions_without_an_idempotency_key_are_known_by_the_body() -> None:
    def old(body: dict[str, Any], uuid: str) -> Event:
        headers = {"X-Gitlab-Token": "s3cr3t", "X-Gitlab-Webhook-UUID": uuid}
        return event(configured("gitlab").to_events(incoming(json.dumps(body).encode(), headers), NOW))

    assert old(PUSH, "1").delivery == old(PUSH, "2").delivery
    assert old(PUSH, "1").delivery != old(PUSH | {"ref": "refs/heads/other"}, "1").delivery


def test_merge_requests_name_their_action_and_what_has_changed() -> None:
    merge_request = {"iid": 1, "title": "Straße", "action": "update"}
    changes = {"title": {"previous": "a", "current": "b"}, "labels": {"previous": [], "current": []}}
    made = of(
        {"object_kind": "merge_request", "project": PROJECT, "object_attributes": merge_request, "changes": changes}
    )

    assert (made.type, made.changed) == ("gitlab.merge_request.update", ("title", "labels"))
    assert made.object == merge_request


@pytest.mark.parametrize(
    ("body", "kind", "subject"),
    [
        (
            {"object_kind": "pipeline", "object_attributes": {"status": "ok"}, "project": PROJECT},
            "pipeline",
            "lab",
        ),
        ({"event_name": "user_add_to_group", "group_path": "example"}, "user_add_to_group", "example"),
        ({"event_name": "project_create", "path_with_namespace": "example/lab"}, "project_create", "lab"),
        (
            {"event_name": "repository_update", "project": PROJECT, "changes": [{"r": 1}]},
            "repository_update",
            "lab",
        ),
        ({"event_name": "key_create", "username": "root"}, "key_create", None),
    ],
)
def test_other_events(body: dict[str, Any], kind: str, subject: str | None) -> None:
    made = of(body)

    assert (made.type, made.changed) == (f"gitlab.{kind}", ())
    assert made.subject == subject or (made.subject or "").endswith(f"/{subject}")


@pytest.mark.parametrize("token", [None, "", "s3cr3", "s3cr3t2", "S3CR3T", "s3cr3t\u00fc", "\udcff"])
def test_s01_other_tokens_are_refused(token: str | None) -> None:
    with pytest.raises(Unverified):
        configured("gitlab").to_events(incoming(b"{}", {} if token is None else {"X-Gitlab-Token": token}), NOW)
