"""Configuration as code: a file that is applied twice changes nothing the second time, and errors name the line."""

from __future__ import annotations

from typing import Any

import pytest
from desk import NOBODY, Desk
from hypothesis import given
from hypothesis import strategies as st

from b24lake.control import sources
from b24lake.control.channels import listed
from b24lake.control.config_file import Entry, load
from b24lake.control.keys import open_keyring
from b24lake.control.models import Channel
from b24lake.control.source_settings import webhook_of
from b24lake.errors import UsageError

ENVIRON = {
    "CRM": NOBODY,
    "ERP": "https://erp.bitrix24.com/rest/1/ERPSECRET99/",
    "OPS": "https://hooks.example.com/HUSHHUSH",
    "MAIL": "passw0rd",
}
FILE = """
version: 1
layers: {raw: As it came, trusted: , service: , gold: Ours}
sources:
  crm:
    name: Sales CRM
    webhook: ${CRM}
    description: "What sales works on: no"
    layer: gold
    prefix: crm_
    deal_comments: true
    deal_categories: [0, 1]
    overlap_seconds: 10m
    reader: universal
    late_after_seconds: 1d
    streams:
      deals: {sync_type: FULL_TABLE}
      activities: {replication_key: LAST_UPDATED, table: aktivitaeten, exclude: SUBJECT, hash: [LOCATION, UF_*]}
      deal_comments:
      spa_128:
    triggers:
      mornings: {weekdays: [mon, fri], times: [6:30, 18:00], zone: Europe/Berlin}
      sundays: {name: Everything, cron: 0 3 * * sun, zone: America/Sao_Paulo, full: true, enabled: false}
  erp:
    webhook: ${ERP}
    state: paused
    prefix: erp_
    streams: [deals, users]
    triggers:
      after-crm: {after: [crm], mode: all}
  idea:
    webhook: ${CRM}
    prefix: idea_
    state: draft
channels:
  ops: {kind: webhook, url: "${OPS}", events: [stopped, failed]}
  mail: {kind: smtp, host: mail.example.com, port: 25, from: a@example.com, to: [b@example.com], user: a, password: $M}
""".replace("$M}", '"${MAIL}"}')


def test_a_file_becomes_sources_triggers_channels_and_layers(desk: Desk) -> None:
    plan = desk.apply(FILE, ENVIRON)
    assert [str(change) for change in plan.changes if change.path[0] != "sources"] == [
        "+ channels.mail: kind smtp, host mail.example.com, port 25, from a@example.com, to b@example.com, user a, "
        "tls starttls, password ${MAIL}",
        "+ channels.ops: kind webhook, events failed, stopped, url ${OPS}",
        "+ layers.gold: Ours",
        "~ layers.raw: As the sources have it -> As it came",
        "~ layers.service: Made for a purpose: reports, models, exports -> (nothing)",
        "~ layers.trusted: Checked and cleaned -> (nothing)",
    ]
    crm = desk.source("crm")
    assert (crm.name, crm.state, crm.layer, crm.late_after_seconds) == ("Sales CRM", "active", "gold", 86400)
    assert crm.options == {
        "deal_comments": True, "deal_categories": [0, 1], "overlap_seconds": 600, "reader": "universal",
    }  # fmt: skip
    hidden = {one.stream: (one.excluded, one.hashed) for one in crm.streams}
    assert (hidden["activities"], hidden["deals"]) == ((["SUBJECT"], ["LOCATION", "UF_*"]), ([], []))
    assert {(one.stream, one.sync_type, one.replication_key, one.table_name) for one in crm.streams} == {
        ("deals", "FULL_TABLE", "DATE_MODIFY", "crm_deals"),
        ("activities", "INCREMENTAL", "LAST_UPDATED", "aktivitaeten"),
        ("deal_comments", "INCREMENTAL", None, "crm_deal_comments"),
        ("spa_128", "INCREMENTAL", "updatedTime", "crm_spa_128"),
    }
    assert (desk.source("erp").state, desk.source("idea").state) == ("paused", "draft")
    assert webhook_of(desk.source("erp"), desk.keyring).code == "ERPSECRET99"
    with desk.database.reading() as session:
        sealed = session.get_one(Channel, "mail").config["password"]
    assert desk.keyring.unseal_json(sealed) == "passw0rd"


def test_applying_again_changes_nothing(desk: Desk) -> None:
    desk.apply(FILE, ENVIRON)
    before = [desk.source(name).updated_at for name in ("crm", "erp", "idea")]
    for environ in (ENVIRON, {}):  # what is sealed already needs no variable
        assert desk.diff(FILE, environ) == desk.diff(FILE, environ, prune=True) == []
        assert desk.apply(FILE, environ).changes == []
    assert [desk.source(name).updated_at for name in ("crm", "erp", "idea")] == before


def test_what_is_exported_is_what_there_is(desk: Desk, small_desk: Desk) -> None:
    desk.apply(FILE, ENVIRON)
    text = desk.export()
    assert not [secret for secret in ("SECRETSECRET", "ERPSECRET99", "HUSHHUSH", "passw0rd") if secret in text]
    assert desk.diff(text) == []
    again = {
        "B24LAKE_WEBHOOK_CRM": NOBODY, "B24LAKE_WEBHOOK_IDEA": NOBODY, "B24LAKE_WEBHOOK_ERP": ENVIRON["ERP"],
        "B24LAKE_CHANNEL_OPS": ENVIRON["OPS"], "B24LAKE_CHANNEL_MAIL": ENVIRON["MAIL"],
    }  # fmt: skip
    copy = small_desk if desk.database.engine.dialect.name == "postgresql" else None
    if copy is not None:  # one installation becomes another one by its file
        copy.apply(text, again)
        assert copy.export() == text
        with copy.database.reading() as session:
            assert [one.id for one in sources.listed(session)] == ["crm", "erp", "idea"]


def test_a_change_in_the_file_is_one_change(desk: Desk) -> None:
    desk.apply(FILE, ENVIRON)
    for old, new, said in [
        ("overlap_seconds: 10m", "overlap_seconds: 5m", ["~ sources.crm.overlap_seconds: 10m -> 5m"]),
        ("deal_categories: [0, 1]", "", ["~ sources.crm.deal_categories: 0,1 -> (nothing)"]),
        (", exclude: SUBJECT", "", ["~ sources.crm.streams.activities.exclude: SUBJECT -> (nothing)"]),
        ("[LOCATION, UF_*]", "[LOCATION]", ["~ sources.crm.streams.activities.hash: LOCATION, UF_* -> LOCATION"]),
        ("    reader: universal\n", "", ["~ sources.crm.reader: universal -> classic"]),
        ("state: paused", "state: active", ["~ sources.erp.state: paused -> active"]),
        ("deals: {sync_type: FULL_TABLE}", "deals:", [
            "~ sources.crm.streams.deals.sync_type: FULL_TABLE -> INCREMENTAL"]),
        ("      spa_128:\n", "", ["- sources.crm.streams.spa_128"]),
        ("[deals, users]", "[deals, users, calls]", [
            "+ sources.erp.streams.calls: sync_type INCREMENTAL, replication_key CALL_START_DATE, table erp_calls"]),
        ("mode: all", "mode: any", []),  # of one source, any is all
        ("[6:30, 18:00]", "[6:30]", [
            "~ sources.crm.triggers.mornings.spec: mon, fri at 06:30, 18:00 (Europe/Berlin) -> "
            "mon, fri at 06:30 (Europe/Berlin)"]),
        ("enabled: false", "enabled: true", ["~ sources.crm.triggers.sundays.enabled: false -> true"]),
        ("port: 25", "port: 26", ["~ channels.mail.port: 25 -> 26"]),
        ("state: draft", "streams: [leads]", [
            "~ sources.idea.state: draft -> active",
            "+ sources.idea.streams.leads: sync_type INCREMENTAL, replication_key DATE_MODIFY, table idea_leads"]),
    ]:  # fmt: skip
        assert old in FILE
        changed = FILE.replace(old, new)
        assert desk.diff(changed, ENVIRON) == said
        assert [str(change) for change in desk.apply(changed, ENVIRON).changes] == said
        assert desk.diff(changed, ENVIRON) == []
        if "draft" not in old:  # a source is never a draft again
            desk.apply(FILE, ENVIRON)


def test_another_secret_in_the_environment_is_a_change_that_shows_neither(desk: Desk) -> None:
    desk.apply(FILE, ENVIRON)
    other = {**ENVIRON, "OPS": "https://hooks.example.com/OTHERHUSH", "CRM": NOBODY.replace("SECRET", "FRESH")}
    told = desk.diff(FILE, other)
    assert told == [
        "~ channels.ops.url: (secret) -> (secret)",
        "~ sources.crm.webhook: https://acme.bitrix24.com/rest/1/***/ -> https://acme.bitrix24.com/rest/1/***/",
        "~ sources.idea.webhook: https://acme.bitrix24.com/rest/1/***/ -> https://acme.bitrix24.com/rest/1/***/",
    ]
    desk.apply(FILE, other)
    assert webhook_of(desk.source("crm"), open_keyring(desk.database, desk.home, {})).code == "FRESHFRESH"
    assert desk.diff(FILE, other) == []


def test_nothing_is_deleted_without_prune(desk: Desk) -> None:
    desk.apply(FILE, ENVIRON)
    fewer = """
layers: [raw, trusted, service, gold]
sources:
  crm: {webhook: "${CRM}", prefix: crm_, layer: gold, streams: [deals], name: Sales CRM}
  erp: {webhook: "${ERP}", prefix: erp_, state: paused, streams: [deals, users], triggers: {after-crm: {after: [crm]}}}
"""
    plan = desk.apply(fewer)
    assert plan.kept == ["sources.idea", "sources.crm.triggers.mornings", "sources.crm.triggers.sundays"]
    assert desk.source("idea").state == "draft"
    assert {one["name"] for one in listed(desk.database)} == {"mail", "ops"}  # a section left out stays as it is
    pruned = [str(change) for change in desk.apply(fewer + "channels: {}\n", prune=True).changes]
    assert pruned == [
        "- channels.mail", "- channels.ops",
        "- sources.crm.triggers.mornings", "- sources.crm.triggers.sundays", "- sources.idea",
    ]  # fmt: skip
    assert desk.diff(fewer, prune=True) == []
    assert listed(desk.database) == []
    (desk.lake / "gold" / "table").mkdir(parents=True)
    file = desk.lake / "gold" / "table" / "file"
    file.touch()  # a folder without a file would be nothing
    with pytest.raises(UsageError, match="'gold' is not empty"):
        desk.apply("layers: [raw, trusted, service]", prune=True)
    assert "gold" in desk.export()
    file.unlink()
    desk.apply(FILE.replace("layer: gold", "layer: raw").replace(", gold: Ours", ""), ENVIRON, prune=True)
    assert "gold" not in desk.export()


def test_a_source_that_is_waited_for_is_not_pruned(small_desk: Desk) -> None:
    small_desk.apply(FILE, ENVIRON)
    trigger = "triggers: {after-crm: {after: [crm]}}"
    only = f'sources: {{erp: {{webhook: "${{ERP}}", prefix: erp_, state: paused, streams: [deals], {trigger}}}}}'
    with pytest.raises(UsageError, match=r"the trigger erp\.after-crm waits for it"):
        small_desk.apply(only, prune=True)
    assert small_desk.diff(FILE) == []


def test_an_error_in_the_last_source_changes_nothing_in_the_first(desk: Desk) -> None:
    desk.apply(FILE, ENVIRON)
    before = desk.export()
    broken = FILE.replace("prefix: idea_", "prefix: crm_\n    streams: [activities]").replace("10m", "11m")
    broken = broken.replace("state: draft", "state: active").replace("name: Sales CRM", "name: Other")
    broken = broken.replace("streams: [activities]", "layer: gold\n    streams: {deals: }")
    with pytest.raises(UsageError, match="has a writer already"):
        desk.apply(broken, ENVIRON)
    assert desk.export() == before


def changed_line(text: str) -> int:
    """The first line that is not as in FILE."""
    pairs = zip(text.splitlines(), FILE.splitlines(), strict=False)
    return next(number for number, (new, old) in enumerate(pairs, start=1) if new != old)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("overlap_seconds: 10m", "overlap_second: 10m", "no key 'overlap_second'. Fix: did you mean 'overlap_seconds'"),
        ("overlap_seconds: 10m", "overlap_seconds: soon", "overlap_seconds cannot be 'soon'"),
        ("overlap_seconds: 10m", "overlap_seconds: {a: b}", "needs one value"),
        ("version: 1", "version: 2", "version of the file is not known"),
        ("channels:", "chanels:", "the file has no key 'chanels'. Fix: did you mean 'channels'"),
        ("  erp:\n", "  ERP!:\n", "'ERP!' cannot be an id"),
        ("  erp:\n", "  crm:\n", "'crm' is there twice"),
        ("webhook: ${ERP}", "webhook: https://erp.bitrix24.com/rest/1/INCLEAR99/", "A secret must not be in the file"),
        ("webhook: ${ERP}", "folder: x", "has no webhook"),
        ("state: paused", "state: asleep", "state cannot be 'asleep'"),
        ("streams: [deals, users]", "streams: []", "reads no stream"),
        ("streams: [deals, users]", "streams: [dealz]", "did you mean deals"),
        ("streams: [deals, users]", "streams: [deal_products]", "deal_products is switched off"),
        ("streams: [deals, users]", "streams: ['spa_*']", "There is no stream 'spa_*'"),
        ("spa_128:", "spa_128: {sync: FULL_TABLE}", "has no key 'sync'"),
        ("deals: {sync_type: FULL_TABLE}", "deals: {sync_type: SOMETIMES}", "no sync type 'SOMETIMES'"),
        ("exclude: SUBJECT", "exclude: LAST_UPDATED", "cannot do without LAST_UPDATED"),
        ("exclude: SUBJECT", "exclude: {SUBJECT: }", "exclude needs one value"),
        ("exclude: SUBJECT", "hide: SUBJECT", "has no key 'hide'"),
        ("zone: Europe/Berlin", "zone: Europe/Berlim", "did you mean Europe/Berlin"),
        ("zone: Europe/Berlin", "zone: Europe/Berlin, at: noon", "has no key 'at'"),
        ("cron: 0 3 * * sun", "cron: every sunday", "The cron line 'every sunday' has 2 fields"),
        ("full: true", "full: perhaps", "cannot be 'perhaps'"),
        ("mode: all", "mode: most", "There is no mode 'most'"),
        ("after: [crm]", "after: []", "waits for no source"),
        ("kind: webhook", "kind: pigeon", "kind cannot be 'pigeon'"),
        ("kind: webhook, ", "", "has no kind"),
        ("port: 25", "port: many", "port needs a number"),
        ("port: 25", "hots: 25", "has no key 'hots'. Fix: did you mean 'host'"),
        ('url: "${OPS}"', "url: https://hooks.example.com/INCLEAR", "A secret must not be in the file"),
        ("name: Sales CRM", "name: &x Sales CRM\n    folder: *x", "aliases are not read"),
        ("name: Sales CRM", "name: !!python/object:os.system Sales", "line"),
        ("name: Sales CRM", "name: [Sales", "this is not YAML"),
        ("name: Sales CRM", "\tname: Sales CRM", "this is not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_line(small_desk: Desk, old: str, new: str, says: str) -> None:
    assert old in FILE
    text = FILE.replace(old, new, 1)
    if "python/object" in new:  # tags mean nothing: the text is a text
        assert small_desk.apply(text, ENVIRON).changes
        return
    with pytest.raises(UsageError) as caught:
        small_desk.apply(text, ENVIRON)
    assert str(caught.value).startswith("lake.yaml, line ")
    assert says in str(caught.value)
    told = int(str(caught.value).partition("line ")[2].partition(":")[0])
    assert -1 <= changed_line(text) - told <= 4  # a source's own line tells what is missing in it
    assert "INCLEAR" not in str(caught.value)
    with small_desk.database.reading() as session:
        assert sources.listed(session) == []


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        (FILE, {}, "the environment variable CRM is not set"),
        (FILE, {"CRM": NOBODY, "ERP": NOBODY}, "the environment variable OPS is not set"),
        (FILE, {**ENVIRON, "ERP": "https://erp.bitrix24.com/handler.php"}, "is not an incoming webhook URL"),
        (FILE.replace("after: [crm]", "after: [erb]"), ENVIRON, "did you mean erp"),
        (FILE.replace("after: [crm]", "after: [erp]"), ENVIRON, "circle"),
        (FILE.replace("layer: gold", "layer: silver"), ENVIRON, "has no layer 'silver'"),
        (FILE.replace("prefix: erp_", "prefix: CRM_\n    layer: gold"), ENVIRON, "has a writer already"),
        ("[1, 2]", {}, "needs keys and values"),
        ("just text", {}, "needs keys and values"),
    ],
)
def test_what_only_shows_when_it_is_applied_changes_nothing_either(
    small_desk: Desk, text: str, environ: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        small_desk.apply(text, environ)
    assert says in str(caught.value)
    with small_desk.database.reading() as session:
        assert sources.listed(session) == []


def test_an_empty_file_asks_for_nothing(small_desk: Desk) -> None:
    small_desk.apply(FILE, ENVIRON)
    assert small_desk.apply("", prune=True).changes == []


SCALARS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3)))
def test_any_yaml_is_read_as_it_was_written_or_refused(value: Any) -> None:
    import yaml

    def plain(entry: Entry) -> Any:
        if isinstance(entry.value, dict):
            return {key: plain(one) for key, one in entry.value.items()}
        return [plain(one) for one in entry.value] if isinstance(entry.value, list) else entry.value

    assert plain(load(yaml.safe_dump(value, allow_unicode=True), "x")) == value


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        load(text, "x")
    except UsageError as error:
        assert str(error).startswith("x")
