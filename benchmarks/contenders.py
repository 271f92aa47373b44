"""Peers that read all deals of a portal into dicts and do nothing else with them.

Each runs as `python -m benchmarks.contenders NAME URL [BURST]` and prints {"rows": N}. The versions are those of the
dev lock. BURST is how many requests a contender that keeps count of them may send at once.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from urllib.parse import urlsplit

METHOD = "crm.deal.list"
SELECT = ["*", "UF_*"]
STANDARD_BURST = 50  # of all tariffs but the largest
NO_BURST = 1000  # for a portal that counts no requests


def list_fast(url: str, _burst: int) -> int:
    """`b24pysdk`, the vendor's own client: keyset pages in batches, one dict after the other."""
    import requests
    from b24pysdk import BitrixWebhook

    post = requests.post

    def post_to_loopback(url: str, **options: object) -> requests.Response:
        """The client always says https; the sandbox on this machine has no certificate."""
        return post(url.replace("https://", "http://", 1), **options)  # type: ignore[arg-type]

    requests.post = post_to_loopback  # type: ignore[assignment]
    address = urlsplit(url)
    webhook = BitrixWebhook(domain=address.netloc, webhook_token=address.path.removeprefix("/rest/"))
    rows = webhook.call_list_fast(METHOD, {"select": SELECT})["result"]
    return sum(1 for _ in rows)


def get_all(url: str, burst: int) -> int:
    """`fast_bitrix24`: pages by offset in parallel batches, all dicts in one list."""
    from fast_bitrix24 import Bitrix

    warnings.simplefilter("ignore")  # it warns of selecting every field
    return len(Bitrix(url, verbose=False, request_pool_size=burst).get_all(METHOD, {"select": SELECT}))


PEERS: dict[str, Callable[[str, int], int]] = {"b24pysdk list_fast": list_fast, "fast_bitrix24 get_all": get_all}


def command(name: str, url: str, burst: int = STANDARD_BURST) -> list[str]:
    return [sys.executable, "-m", "benchmarks.contenders", name, url, str(burst)]


if __name__ == "__main__":
    print(json.dumps({"rows": PEERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))}))
