"""Links between records, computed from ids: the contacts of a deal or lead, phones and e-mails of a client."""

from collections.abc import Callable

from b24lake.sandbox.data import words
from b24lake.sandbox.data.columns import Row
from b24lake.sandbox.data.world import World

CONTACT_COUNTS = (0, 0, 0, 1, 1, 1, 1, 1, 2, 4)  # a third of the deals has no contact, a fifth has several
MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")


def contacts_of(world: World, name: str) -> Callable[[int], list[int]]:
    """A function id of a row of `name` -> ids of its contacts, the primary one first, each once."""
    mix, contacts = world.hasher(f"contacts of {name}"), world.numbering["contacts"]

    def linked(id_: int) -> list[int]:
        bits = mix(id_)
        count = CONTACT_COUNTS[bits % 10] if contacts.count else 0
        return list(dict.fromkeys(contacts.pick((bits >> 8) + n * 7919) for n in range(count)))

    return linked


def multifields(world: World, name: str, kind: int) -> Callable[[int], Row]:
    """A function id -> PHONE, EMAIL, WEB, IM, LINK: lists of {ID, VALUE_TYPE, VALUE, TYPE_ID}, absent where empty.

    kind tells the tables apart, so that the ids of the values are unique in the portal.
    """
    mix = world.hasher(f"multifields of {name}")

    def make(id_: int) -> Row:
        bits = mix(id_)
        values = [("PHONE", "WORK", f"+7495{bits % 10000000:07}")] if bits % 10 < 7 else []
        if bits % 10 < 2:
            values.append(("PHONE", "MOBILE", f"+55 (11) 9{bits % 8999 + 1000}-{bits // 9 % 8999 + 1000}"))
        if bits // 16 % 10 < 6:
            values.append(("EMAIL", ("WORK", "HOME")[bits >> 40 & 1], f"client{id_}@{words.DOMAINS[bits % 5]}"))
        if bits // 256 % 10 < 1:
            values.append(("WEB", "WORK", f'https://{words.DOMAINS[bits % 5]}/?id={id_}&x="1"'))
        if bits // 512 % 10 < 1:
            values.append(("IM", "TELEGRAM", f"@client_{id_}"))
        if bits // 4096 % 50 < 1:
            values.append(("LINK", "USER", f"imol|telegram|{bits % 9}|{id_}"))
        return _grouped(values, id_ * 40 + kind * 8)

    return make


def _grouped(values: list[tuple[str, str, str]], first: int) -> Row:
    row: Row = {}
    for number, (kind, value_type, value) in enumerate(values):
        each = {"ID": str(first + number), "VALUE_TYPE": value_type, "VALUE": value, "TYPE_ID": kind}
        row.setdefault(kind, []).append(each)
    return row


def has_flags(fields: Row) -> Row:
    """HAS_PHONE, HAS_EMAIL and HAS_IMOL of a record with these multi-fields."""
    flags = {"HAS_PHONE": "PHONE", "HAS_EMAIL": "EMAIL", "HAS_IMOL": "LINK"}
    return {flag: "Y" if kind in fields else "N" for flag, kind in flags.items()}
