"""The options of `b24lake sandbox` reach the portal."""

import json
import subprocess
import sys
import urllib.request
from urllib.parse import urljoin

import pytest

OPTIONS = {
    "page-ms": 40, "count-ms": 30, "command-ms": 5, "round-trip-ms": 100, "operating-limit": 60, "operating-floor": 0,
    "acceleration": 10, "billing": "batch",
}  # fmt: skip
COMMAND = [sys.executable, "-m", "b24lake", "sandbox", "--port", "0", "--deals", "5"]


def test_service_time_and_budgets_are_set_by_options():
    words = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen([*COMMAND, *words, "--book", "--counters", "zero"], stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout
            with urllib.request.urlopen(urljoin(run.stdout.readline().strip(), "/sandbox/settings")) as answer:
                settings = json.load(answer)
        finally:
            run.terminate()
    told = {name: settings[name.replace("-", "_")] for name in OPTIONS}
    assert (told, settings["operating"], settings["book"]) == (OPTIONS, "zero", True)


@pytest.mark.parametrize(
    "wrong", [["--billing", "moon"], ["--counters", "moon"], ["--acceleration", "0"], ["--page-ms", "-1"]]
)
def test_wrong_options_are_said(wrong):
    done = subprocess.run([*COMMAND, *wrong], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert wrong[0].strip("-").replace("-", "_").replace("counters", "operating") in done.stderr
