"""Smart processes that come, go, and are closed to the webhook's owner; methods that a portal does not have."""

import pytest


def types(hook):
    return {row["entityTypeId"] for row in hook.result("crm.type.list")["types"]}


def test_a_smart_process_comes_with_its_fields_and_without_records(fresh):
    assert fresh.lever("type", entityTypeId=1034, title="Repairs")[1]["types"]["1034"] == "Repairs"
    assert types(fresh) == {128, 156, 1032, 1034}
    assert fresh.result("crm.item.list", entityTypeId=1034)["items"] == []
    fields = fresh.result("crm.item.fields", entityTypeId=1034)["fields"]
    assert {"id", "title", "updatedTime"} <= set(fields)
    id_ = fresh.lever("create", table="spa_1034", fields={"TITLE": "First"})[1]["id"]
    assert [row["id"] for row in fresh.result("crm.item.list", entityTypeId=1034)["items"]] == [id_]
    codes = {row["SYMBOL_CODE"] for row in fresh.result("crm.enum.ownertype")}
    assert {"DYNAMIC_128", "DYNAMIC_1034"} <= codes


@pytest.mark.parametrize("wrong", [{"entityTypeId": 128}, {"entityTypeId": 2}, {"entityTypeId": 500}, {"off": 1034}])
def test_smart_processes_have_numbers_of_their_own(fresh, wrong):
    assert fresh.lever("type", **wrong)[0] == 400


def test_a_deleted_smart_process_is_not_found(fresh):
    fresh.lever("type", off=156)
    assert types(fresh) == {128, 1032}
    for method in ("crm.item.list", "crm.item.fields"):
        status, body = fresh.call(method, entityTypeId=156)
        assert (status, body["error"]) == (400, "NOT_FOUND")
    assert fresh.call("crm.type.getByEntityTypeId", entityTypeId=156)[0] == 400


def test_a_smart_process_can_be_deleted_after_a_page(fresh):
    fresh.portal.plan("drop", "spa_128", after=1, unit="page", method="crm.item.list")
    assert fresh.call("crm.item.list", entityTypeId=128)[0] == 200
    assert fresh.call("crm.item.list", entityTypeId=128)[1]["error"] == "NOT_FOUND"


@pytest.mark.parametrize("method", ["crm.item.list", "crm.item.fields", "crm.type.getByEntityTypeId"])
def test_a_smart_process_may_be_closed_to_the_owner(portal_with, method):
    with portal_with(forbidden_types=(156,)) as hook:
        status, body = hook.call(method, entityTypeId=156)
        assert (status, body["error"]) == (400, "ACCESS_DENIED")
        assert hook.call(method, entityTypeId=128)[0] == 200


def test_more_smart_processes_come_in_pages(portal_with):
    with portal_with(more_types=60) as hook:
        first = hook.ask("crm.type.list")
        assert (len(first["result"]["types"]), first["next"], first["total"]) == (50, 50, 63)


def test_old_portals_do_not_know_the_original_names(portal_with):
    with portal_with(original_names=False) as hook:
        fields = hook.result("crm.item.fields", entityTypeId=128, useOriginalUfNames="Y")["fields"]
        assert not any(name.startswith("UF_") for name in fields)
        assert any(field["upperName"].startswith("UF_CRM_4_") for field in fields.values())


def test_a_method_that_the_portal_lacks_is_unknown_to_it(portal_with):
    with portal_with(missing_methods=("crm.lead.list",)) as hook:
        status, body = hook.call("crm.lead.list")
        assert (status, body["error"]) == (404, "ERROR_METHOD_NOT_FOUND")
        assert hook.result("method.get", name="crm.lead.list") == {"isExisting": False, "isAvailable": False}
        assert hook.result("method.get", name="crm.deal.list") == {"isExisting": True, "isAvailable": True}


def test_refusals_and_empty_results_by_command(mended):
    mended.portal.fault("no_access", method="crm.deal.list", after=1)
    mended.portal.fault("empty_result", method="crm.deal.fields")
    assert mended.call("crm.deal.list")[0] == 200
    status, body = mended.call("crm.deal.list")
    assert (status, body["error"]) == (400, "ACCESS_DENIED")
    assert mended.result("crm.deal.fields") == []
