"""The life of a credential, by a client that was generated from the contract.

life.py URL: the token is in NEBULA_TOKEN, the package named client on the path.
"""

import base64
import os
import sys
from http import HTTPStatus

from client import AuthenticatedClient
from client.api.credentials import (
    batch_get,
    delete_credential,
    get_credential,
    has_credential,
    list_credentials,
    list_versions,
    purge_credential,
    put_credential,
    restore_credential,
    tag_credential,
)
from client.api.service import get_health, get_metrics, get_readiness, get_store
from client.models import BatchFailure, BatchRequest, NewBytes, NewText, ProblemKind, TagChange
from client.types import File

service = AuthenticatedClient(base_url=sys.argv[1], token=os.environ["NEBULA_TOKEN"], raise_on_unexpected_status=True)
ID = "python_life"


def want(response, status):
    assert response.status_code == status, (response.status_code, response.content)
    return response.parsed


store = want(get_store.sync_detailed(client=service), HTTPStatus.OK)
assert (store.provider, store.limits.batch_ids, store.abilities.restore) == ("memory", 100, True), store
assert get_health.sync_detailed(client=service).content == get_readiness.sync_detailed(client=service).content == b"ok\n"

# Text with tags and a rotation, then bytes in both forms: the rest stays.
text = NewText.from_dict({"value": "grüße", "tags": {"env": "prod"}, "interval_days": 90})
first = want(put_credential.sync_detailed(ID, client=service, body=text, if_none_match="*"), HTTPStatus.CREATED)
got = want(get_credential.sync_detailed(ID, client=service), HTTPStatus.OK)
assert (got.value, got.encoding.value, got.version) == ("grüße", "utf8", first.version), got
assert got.metadata.tags.additional_properties == {"env": "prod"}, got
assert got.metadata.rotation_policy.interval_days == 90 and got.metadata.created_by == "python", got
assert got.metadata.created_at.utcoffset().total_seconds() == 0, got
second = want(put_credential.sync_detailed(ID, client=service, body=File(payload=b"\x00\xff"), if_match='"%s"' % first.version), HTTPStatus.OK)
third = want(put_credential.sync_detailed(ID, client=service, body=NewBytes.from_dict({"value": "/wD+", "encoding": "base64"})), HTTPStatus.OK)
got = want(get_credential.sync_detailed(ID, client=service), HTTPStatus.OK)
assert (base64.b64decode(got.value), got.encoding.value, got.version) == (b"\xff\x00\xfe", "base64", third.version), got
assert got.metadata.tags.additional_properties == {"env": "prod"} and got.metadata.rotation_policy.interval_days == 90, got

# Conditions that do not hold, and a version that is older.
problem = want(put_credential.sync_detailed(ID, client=service, body=text, if_none_match="*"), HTTPStatus.PRECONDITION_FAILED)
assert (problem.kind, problem.status, problem.id) == (ProblemKind.ALREADY_EXISTS, 412, ID), problem
problem = want(put_credential.sync_detailed(ID, client=service, body=text, if_match='"%s"' % first.version), HTTPStatus.PRECONDITION_FAILED)
assert problem.kind == ProblemKind.PRECONDITION_FAILED, problem
old = want(get_credential.sync_detailed(ID, client=service, version=second.version), HTTPStatus.OK)
assert base64.b64decode(old.value) == b"\x00\xff", old
versions = want(list_versions.sync_detailed(ID, client=service), HTTPStatus.OK)
assert [v.version for v in versions.items] == [third.version, second.version, first.version], versions
assert [v.current for v in versions.items] == [True, False, False], versions

# Tags, and what finds by them.
change = TagChange.from_dict({"set": {"team": "a=b & c"}, "remove": ["env"]})
want(tag_credential.sync_detailed(ID, client=service, body=change), HTTPStatus.OK)
page = want(list_credentials.sync_detailed(client=service, tag=["team=a=b & c"], prefix="python_", details=True), HTTPStatus.OK)
assert [(i.id, i.metadata.tags.additional_properties) for i in page.items] == [(ID, {"team": "a=b & c"})], page

# Pages.
want(put_credential.sync_detailed(ID + "_2", client=service, body=text), HTTPStatus.CREATED)
found, cursor = [], {}
while True:
    page = want(list_credentials.sync_detailed(client=service, prefix=ID, limit=1, **cursor), HTTPStatus.OK)
    found += [i.id for i in page.items]
    if not page.next_:
        break
    cursor = {"cursor": page.next_}
assert found == [ID, ID + "_2"], found

# Several at once, one of which is not there.
batch = want(batch_get.sync_detailed(client=service, body=BatchRequest(ids=[ID + "_2", "absent", ID])), HTTPStatus.OK)
assert [i.id for i in batch.items] == [ID + "_2", "absent", ID], batch
assert isinstance(batch.items[1], BatchFailure) and batch.items[1].error.kind == ProblemKind.NOT_FOUND, batch
assert (batch.items[0].value, batch.items[2].value) == ("grüße", "/wD+"), batch

# The end: deleted, restored, purged.
assert want(has_credential.sync_detailed(ID, client=service), HTTPStatus.OK) is None
want(delete_credential.sync_detailed(ID, client=service), HTTPStatus.NO_CONTENT)
want(delete_credential.sync_detailed(ID, client=service), HTTPStatus.NO_CONTENT)
problem = want(get_credential.sync_detailed(ID, client=service), HTTPStatus.NOT_FOUND)
assert problem.kind == ProblemKind.NOT_FOUND and problem.request_id, problem
want(has_credential.sync_detailed(ID, client=service), HTTPStatus.NOT_FOUND)
want(restore_credential.sync_detailed(ID, client=service), HTTPStatus.NO_CONTENT)
problem = want(restore_credential.sync_detailed(ID, client=service), HTTPStatus.CONFLICT)
assert problem.kind == ProblemKind.CONFLICT, problem
assert want(get_credential.sync_detailed(ID, client=service), HTTPStatus.OK).value == "/wD+"
want(purge_credential.sync_detailed(ID, client=service), HTTPStatus.NO_CONTENT)
want(restore_credential.sync_detailed(ID, client=service), HTTPStatus.NOT_FOUND)
want(purge_credential.sync_detailed(ID + "_2", client=service), HTTPStatus.NO_CONTENT)

assert b"nebula_http_request_duration_seconds" in get_metrics.sync_detailed(client=service).content
stranger = AuthenticatedClient(base_url=sys.argv[1], token="nbt_" + "0" * 50)
problem = want(get_credential.sync_detailed(ID, client=stranger), HTTPStatus.UNAUTHORIZED)
assert problem.kind == ProblemKind.INVALID_TOKEN, problem
print("done")
