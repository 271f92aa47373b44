"""The batch method: sections, limits, references. Source: settings/how-to-call-rest-api/batch.md."""

from urllib.parse import quote

import pytest

SECTIONS = ["result", "result_error", "result_total", "result_next", "result_time"]


def ids(rows):
    return [int(row["ID"]) for row in rows]


def test_a_batch_answers_in_five_sections_and_empty_ones_are_lists(hook):
    body = hook.ask("batch", cmd={"a": "server.time", "b": "crm.deal.list?select[]=ID"})
    assert list(body["result"]) == SECTIONS
    assert set(body["result"]["result"]) == {"a", "b"}
    assert body["result"]["result_error"] == []
    assert body["result"]["result_total"] == {"b": 300}
    assert body["result"]["result_next"] == {"b": 50}
    assert set(body["result"]["result_time"]) == {"a", "b"}
    assert "time" in body


def test_a_batch_without_commands_is_all_lists(hook):
    assert hook.batch([]) == {name: [] for name in SECTIONS}


@pytest.mark.parametrize("commands", [["profile", "server.time"], {"0": "profile", "1": "server.time"}])
def test_numeric_keys_in_sequence_come_back_as_lists(hook, commands):
    done = hook.batch(commands)
    assert isinstance(done["result"], list)
    assert isinstance(done["result_time"], list)


def test_numeric_keys_out_of_sequence_stay_an_object(hook):
    done = hook.batch({"5": "profile", "7": "crm.deal.get?id=0"})
    assert set(done["result"]) == {"5"}
    assert set(done["result_error"]) == {"7"}


def test_list_form_of_a_section_loses_which_command_failed(hook):
    done = hook.batch(["crm.deal.get?id=0", "profile"])
    assert done["result_error"] == [{"error": "", "error_description": "ID is not defined or invalid."}]
    assert set(done["result"]) == {"1"}


def test_command_51_and_on_is_refused_and_the_others_run(hook):
    done = hook.batch({f"c{n}": "server.time" for n in range(53)})
    assert len(done["result"]) == 50
    assert {error["error"] for error in done["result_error"].values()} == {"ERROR_BATCH_LENGTH_EXCEEDED"}
    assert set(done["result_error"]) == {"c50", "c51", "c52"}


def test_a_batch_in_a_batch_is_refused(hook):
    done = hook.batch({"a": "batch?cmd[x]=profile"})
    assert done["result_error"]["a"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("halt", [1, True, "1", "true"])
def test_halt_stops_after_the_first_error(hook, halt):
    done = hook.batch({"a": "profile", "b": "no.such.method", "c": "profile"}, halt=halt)
    assert set(done["result"]) == {"a"}
    assert set(done["result_error"]) == {"b"}


@pytest.mark.parametrize("halt", [0, False, "0", "false"])
def test_without_halt_the_rest_goes_on(hook, halt):
    done = hook.batch({"a": "profile", "b": "no.such.method", "c": "profile"}, halt=halt)
    assert set(done["result"]) == {"a", "c"}


def test_every_error_of_a_batch_comes_with_http_200(hook):
    done = hook.batch({"a": "no.such.method", "b": "crm.type.getByEntityTypeId?entityTypeId=2"})
    assert done["result"] == []
    assert {key: error["error"] for key, error in done["result_error"].items()} == {
        "a": "ERROR_METHOD_NOT_FOUND",
        "b": 0,
    }


def chain(count, start=0, more=""):
    last = [f"crm.deal.list?order[ID]=ASC&filter[%3EID]={start}&select[]=ID&start=-1{more}"]
    last += [
        f"crm.deal.list?order[ID]=ASC&filter[%3EID]=$result[c{n - 1}][49][ID]&select[]=ID&start=-1{more}"
        for n in range(1, count)
    ]
    return {f"c{n}": command for n, command in enumerate(last)}


def test_a_keyset_chain_reads_the_table_in_order(hook):
    done = hook.batch(chain(6))
    read = [id_ for page in done["result"].values() for id_ in ids(page)]
    assert read == [int(row["ID"]) for row in hook.portal.truth("deals")]


def test_a_chain_beyond_the_end_starts_over_because_an_array_counts_as_1(hook):
    done = hook.batch(chain(9, start=hook.portal.tables["deals"].ids[-60]))
    pages = [ids(page) for page in done["result"].values()]
    assert [len(page) for page in pages[:3]] == [50, 9, 50]
    assert pages[2] == ids(hook.portal.truth("deals"))[:50]


def test_a_reference_to_an_empty_page_is_an_empty_array_and_counts_as_0(hook):
    done = hook.batch(
        {
            "a": "crm.deal.list?filter[%3EID]=99999999&start=-1",
            "b": "crm.deal.list?order[ID]=ASC&filter[%3E%3DID]=$result[a][49][ID]&select[]=ID&start=-1",
        }
    )
    assert ids(done["result"]["b"])[0] == hook.portal.tables["deals"].ids[0]


def test_references_reach_into_wrapped_results_and_scalars(hook):
    done = hook.batch(
        {
            "list": "crm.item.list?entityTypeId=128&order[id]=ASC&start=-1",
            "last": "crm.item.get?entityTypeId=128&id=$result[list][items][49][id]",
            "me": "profile",
            "again": "user.get?ID=$result[me][ID]&FILTER[ID]=$result[me][ID]",
        }
    )
    assert done["result"]["last"]["item"]["id"] == done["result"]["list"]["items"][49]["id"]
    assert ids(done["result"]["again"]) == [1]


def test_a_reference_within_a_text_takes_scalars_and_leaves_arrays_as_text(hook):
    done = hook.batch(
        {
            "me": "profile",
            "found": "crm.deal.list?filter[%3E%3DID]=0$result[me][ID]&select[]=ID&start=-1",
            "literal": "crm.deal.list?filter[TITLE]=x$result[found]&select[]=ID&start=-1",
        }
    )
    assert len(done["result"]["found"]) == 50
    assert done["result"]["literal"] == []


def test_an_exact_reference_to_an_array_is_the_array(hook):
    done = hook.batch(
        {
            "user": "user.get?FILTER[ID]=1",
            "home": "department.get?ID=$result[user][0][UF_DEPARTMENT]",
        }
    )
    assert [int(row["ID"]) for row in done["result"]["home"]] == done["result"]["user"][0]["UF_DEPARTMENT"]


def test_a_plus_in_a_command_is_a_space_unless_it_is_encoded(hook):
    rows = list(hook.portal.truth("deals"))
    latest = sorted(row["DATE_MODIFY"] for row in rows)[-10]
    want = {int(row["ID"]) for row in rows if row["DATE_MODIFY"] >= latest}
    command = f"crm.deal.list?filter[{quote('>=DATE_MODIFY')}]={quote(latest)}&select[]=ID&start=-1"
    done = hook.batch({"encoded": command, "raw": command.replace("%2B", "+")})
    assert set(ids(done["result"]["encoded"])) == want
    assert done["result"]["raw"] == []


def test_a_name_with_a_raw_equals_sign_is_cut_there_as_php_cuts_it(hook):
    done = hook.batch({"a": "crm.deal.list?filter[>=ID]=99999999&select[]=ID&start=-1"})
    assert len(done["result"]["a"]) == 50


def test_form_and_get_requests_carry_commands_too(hook):
    _, posted = hook.form(
        "batch", [("cmd[a]", "profile"), ("cmd[b]", "crm.deal.list?select[]=ID&start=-1"), ("halt", "1")]
    )
    _, got = hook.send("GET", f"{hook.base}batch?cmd[a]=profile&cmd[b]=" + quote("crm.deal.list?select[]=ID&start=-1"))
    assert posted["result"]["result"] == got["result"]["result"]
    assert len(got["result"]["result"]["b"]) == 50


def test_one_batch_is_one_request_and_its_commands_are_counted_by_method(fresh):
    fresh.batch({"a": "profile", "b": "crm.deal.list", "c": "crm.deal.list"})
    status, counted = fresh.send("GET", "/sandbox/counters")
    assert (status, counted["requests"]) == (200, 1)
    assert counted["commands"] == {"profile": 1, "crm.deal.list": 2}
