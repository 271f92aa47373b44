"""A day of five sources under a clock that is turned, with the night in which clocks are set forward before it.

crm       every hour from 6 to 20, Berlin; a full sync besides, Sundays at 03:00
sales     weekdays and times, Sao Paulo: 08:00 and 18:00 every day
night     02:30 Berlin: a time that does not exist this night
broken    every two hours; its portal fails from noon on: stopped after three failures, resumed, and well again
report    after crm and sales, when both have succeeded
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from b24lake.control import channels, scheduler
from b24lake.control.models import Source
from service import Service, failing

BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # 01:00 in Berlin; at 02:00 there it becomes 03:00
END = datetime(2026, 3, 29, 20, 0, tzinfo=UTC)
RESUMED = datetime(2026, 3, 29, 16, 30, tzinfo=UTC)

EXPECTED = """
    01:00 night   schedule   success
    01:00 crm     full_sync  success
    04:00 crm     schedule   success
    05:00 crm     schedule   success
    06:00 broken  schedule   success
    06:00 crm     schedule   success
    07:00 crm     schedule   success
    08:00 broken  schedule   success
    08:00 crm     schedule   success
    09:00 crm     schedule   success
    10:00 broken  schedule   failed
    10:00 crm     schedule   success
    10:05 broken  retry      failed
    11:00 crm     schedule   success
    11:00 report  event      success
    11:00 sales   schedule   success
    12:00 broken  schedule   failed
    12:00 crm     schedule   success
    12:05 broken  retry      failed
    13:00 crm     schedule   success
    14:00 broken  schedule   failed
    14:00 crm     schedule   success
    14:05 broken  retry      failed
    15:00 crm     schedule   success
    16:00 crm     schedule   success
    17:00 crm     schedule   success
    18:00 broken  schedule   success
    18:00 crm     schedule   success
    --:-- report  event      pending_events
"""
ALERTS = [("10:05", "failed"), ("14:05", "stopped"), ("18:00", "recovered")]


def test_the_day_goes_as_planned(service: Service) -> None:
    _plan(service)
    clock = service.clock
    clock.at = BEGIN
    while clock() < END:
        scheduler.tick(service.database, clock())
        if clock() == RESUMED:
            _resume(service)
        _work(service)
        clock.turn(minutes=5)
    ran = [f"{_begun(run)} {run['source']:7} {run['cause']:10} {run['state']}" for run in service.runs()]
    assert sorted(ran) == sorted(line.strip() for line in EXPECTED.strip().splitlines())
    assert service.get("broken").state == "active"
    # Its third failure stopped it: nothing was due for it until somebody resumed it, at 16:00 neither.
    told = [(datetime.fromisoformat(alert["created_at"]), alert) for alert in channels.sent(service.database)[::-1]]
    assert [(at.strftime("%H:%M"), alert["event"]) for at, alert in told] == ALERTS
    assert {alert["source"] for _, alert in told} == {"broken"}
    assert [run["full"] for run in service.runs() if run["cause"] == "full_sync"] == [True]


def _plan(service: Service) -> None:
    address = channels.webhook_address("https://chat.example.com/hook/SECRET")
    channels.add(service.database, service.keyring, "team", address)
    for name in ("crm", "sales", "night", "report"):
        service.source(name)
    service.source("broken", retries=1, retry_delay_seconds=240, max_failures=3)
    service.trigger("crm-hourly", "crm", {"cron": "0 6-20 * * *", "zone": "Europe/Berlin"})
    service.trigger("crm-full", "crm", {"weekdays": ["sun"], "times": ["03:00"], "zone": "Europe/Berlin"}, full=True)
    service.trigger("sales", "sales", {"weekdays": [], "times": ["08:00", "18:00"], "zone": "America/Sao_Paulo"})
    service.trigger("night", "night", {"weekdays": [], "times": ["02:30"], "zone": "Europe/Berlin"})
    service.trigger("broken", "broken", {"cron": "0 */2 * * *", "zone": "UTC"}, next_at=BEGIN + timedelta(hours=6))
    service.trigger("report", "report", {"sources": ["crm", "sales"], "mode": "all"})


def _work(service: Service) -> None:
    """Perform what may begin now; the clock stands still meanwhile."""
    at = service.clock()
    while (run := service.claim()) is not None:
        fails = run.source_id == "broken" and at.astimezone(BERLIN).hour >= 12 and at < RESUMED
        service.end(run.id, "failed" if fails else "success", **(failing() if fails else {}))
        service.clock.at = at
    service.clock.at = at


def _resume(service: Service) -> None:
    with service.database.writing() as session:
        source = session.get_one(Source, "broken")
        assert source.state == "stopped"
        source.state, source.failures = "active", 0


def _begun(run: dict[str, str]) -> str:
    return datetime.fromisoformat(run["started_at"]).strftime("%H:%M") if run["started_at"] else "--:--"
