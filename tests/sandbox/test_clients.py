"""Two public clients of Bitrix24, neither written for the sandbox, read it and agree with the truth."""

import warnings
from urllib.parse import urlsplit

import pytest

DEALS, CONTACTS = 1000, 300


@pytest.fixture(scope="module")
def hook():
    from b24lake.sandbox import Portal, Server, Settings

    with Server(Portal(Settings(deals=DEALS, contacts=CONTACTS, deal_fields=60, threshold=0))) as server:
        yield server


def truth(server, table, names=None):
    return {
        int(row["ID"]): {n: row[n] for n in row if names is None or n in names} for row in server.portal.truth(table)
    }


def by_id(rows):
    return {int(row["ID"]): row for row in rows}


@pytest.mark.filterwarnings("ignore")
def test_fast_bitrix24_reads_deals_and_contacts(hook):
    from fast_bitrix24 import Bitrix

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = Bitrix(hook.url, verbose=False, requests_per_second=1000.0, request_pool_size=1000)
        deals = client.get_all("crm.deal.list", params={"select": ["*", "UF_*"]})
        contacts = client.get_all("crm.contact.list", params={"select": ["ID", "NAME", "PHONE", "DATE_MODIFY"]})
        rows = client.get_by_ID("crm.deal.productrows.get", [row["ID"] for row in deals[:60]])
    assert by_id(deals) == truth(hook, "deals")
    assert by_id(contacts) == truth(hook, "contacts", {"ID", "NAME", "PHONE", "DATE_MODIFY"})
    assert set(rows) == {row["ID"] for row in deals[:60]}


@pytest.fixture
def sdk(hook, monkeypatch):
    """The official SDK, which knows https only: its transport is turned to the loopback's http."""
    import requests
    from b24pysdk import BitrixWebhook

    post = requests.post
    monkeypatch.setattr(requests, "post", lambda url, **more: post(url.replace("https://", "http://", 1), **more))
    settings = hook.portal.settings
    return BitrixWebhook(domain=urlsplit(hook.url).netloc, webhook_token=f"{settings.user_id}/{settings.code}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["call_list", "call_list_fast"])
def test_the_official_sdk_reads_deals_and_contacts(hook, sdk, way):
    read = getattr(sdk, way)
    deals = read("crm.deal.list", params={"select": ["*", "UF_*"]})["result"]
    contacts = read("crm.contact.list", params={"select": ["ID", "NAME", "PHONE", "DATE_MODIFY"]})["result"]
    assert by_id(deals) == truth(hook, "deals")
    assert by_id(contacts) == truth(hook, "contacts", {"ID", "NAME", "PHONE", "DATE_MODIFY"})


@pytest.mark.filterwarnings("ignore")
def test_the_official_sdk_reads_wrapped_rows_and_single_answers(hook, sdk):
    items = sdk.call_list_fast("crm.item.list", params={"entityTypeId": 128, "select": ["*"]})["result"]
    assert [item["id"] for item in items] == list(hook.portal.tables["spa_128"].ids)
    assert sdk.call_method("profile")["result"]["ID"] == "1"
