"""What comes back in place of the portal's answer: a proxy's pages, broken bodies, a new address."""

from b24lake.sandbox.faults import Faults
from b24lake.sandbox.wire import Answer

HTML = "text/html"
NAMES = {301: "Moved Permanently", 302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect"}
NAMES |= {502: "Bad Gateway", 504: "Gateway Time-out"}
TRIED_AGAIN = b"<html><head><title>Site is being updated</title></head><body>Please try again later.</body></html>"


def page(status: int) -> Answer:
    """A proxy's page; status 0 is a connection closed without a word."""
    if not status:
        return Answer(0, b"")
    title = f"{status} {NAMES.get(status, '')}"
    text = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    return Answer(status, text.encode() + b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", HTML)


def moved(status: int, location: str) -> Answer:
    """The portal lives elsewhere."""
    return Answer(status, page(status).body, HTML, location=location)


def spoiled(faults: Faults, method: str, answer: Answer) -> Answer:
    """A good answer after what befalls it on its way."""
    if faults.fires("truncated", method):
        return Answer(answer.status, answer.body, cut=len(answer.body) // 2)
    if faults.fires("half", method):
        return Answer(answer.status, answer.body[: len(answer.body) // 2])
    if faults.fires("not_json", method):
        return Answer(answer.status, TRIED_AGAIN, HTML)
    return answer
