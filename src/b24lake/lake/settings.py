"""How an S3-compatible store is reached: what delta-rs' client has to know beyond the environment variables it reads.

It reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL and AWS_ALLOW_HTTP by
itself. The files of AWS' programs it reads only when told to, and of them the keys alone: region and endpoint of a
profile are added here. No secret passes through here.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

PATIENT = {"max_retries": "6", "retry_timeout": "60s", "connect_timeout": "5s", "timeout": "60s"}
"""A store that is busy or away for a moment is asked again, for a minute at most."""
HASTY = {"max_retries": "4", "retry_timeout": "8s", "connect_timeout": "4s", "timeout": "8s"}
"""For the first question: is anybody there?"""

_NAMED = {"region": ("AWS_REGION", "AWS_DEFAULT_REGION"), "endpoint_url": ("AWS_ENDPOINT_URL",)}
"""Setting of a profile -> the variables that come before it."""


def settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The options for delta-rs' client."""
    found = dict(PATIENT)
    if "AWS_ENDPOINT_URL_S3" in environment:
        found["AWS_ENDPOINT_URL"] = environment["AWS_ENDPOINT_URL_S3"]
    profile = _profile(environment)
    for name, variables in _NAMED.items():
        if name in profile and not any(variable in environment or variable in found for variable in variables):
            found[variables[0]] = profile[name]
    if "AWS_ACCESS_KEY_ID" not in environment and any(file.exists() for file in _files(environment)):
        found["AWS_FORCE_CREDENTIAL_LOAD"] = "true"
    return found


def _files(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """The files of settings and of keys."""
    home = Path(environment.get("HOME", "~")).expanduser() / ".aws"
    config = environment.get("AWS_CONFIG_FILE") or home / "config"
    return Path(config), Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")


def _profile(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of the chosen profile; nothing where there are none."""
    name = environment.get("AWS_PROFILE", "default")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(_files(environment)[0], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}  # whose keys these are to be read says so
    section = next((each for each in (f"profile {name}", name) if parser.has_section(each)), None)
    return dict(parser[section]) if section else {}
