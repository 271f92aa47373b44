"""What hangs on other records: product rows, comments, stage history.

Source: api-reference/crm/deals/crm-deal-productrows-get.md, timeline/comments/crm-timeline-comment-list.md,
crm-stage-history-list.md.
"""

from array import array
from collections.abc import Callable
from typing import Any

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import Numbering, one_of
from b24lake.sandbox.data.columns import Row, read_columns
from b24lake.sandbox.data.dates import SPAN
from b24lake.sandbox.data.deals import FUNNEL_SHARES, STAGES
from b24lake.sandbox.data.dictionaries import Stage, lead_stages
from b24lake.sandbox.data.table import Part, Table
from b24lake.sandbox.data.world import World

MANY_COMMENTS, ONE_IN = 60, 499  # now and then a deal has more comments than fit on a page
MOVES = 3  # stage changes for each deal or lead on average, its creation among them

DEAL_HISTORY = read_columns("""
ID integer R -|ID
TYPE_ID integer R -|TYPE_ID
OWNER_ID integer R -|OWNER_ID
CREATED_TIME datetime R -|CREATED_TIME
CATEGORY_ID integer R -|CATEGORY_ID
STAGE_SEMANTIC_ID string R -|STAGE_SEMANTIC_ID
STAGE_ID string R -|STAGE_ID
""")
LEAD_HISTORY = read_columns("""
ID integer R -|ID
TYPE_ID integer R -|TYPE_ID
OWNER_ID integer R -|OWNER_ID
CREATED_TIME datetime R -|CREATED_TIME
STATUS_SEMANTIC_ID string R -|STATUS_SEMANTIC_ID
STATUS_ID string R -|STATUS_ID
""")


def product_rows(world: World, name: str, code: str) -> Callable[[int], list[Row]]:
    """A function id of a deal or lead -> its product rows, as crm.item.productrow.list types them."""
    mix, products = world.hasher(f"product rows of {name}"), world.numbering["products"]

    def make(id_: int) -> list[Row]:
        bits = mix(id_)
        return [_product_row(id_, code, n, bits >> n * 5, products) for n in range((0, 0, 1, 2, 4)[bits % 5])]

    return make


def _product_row(owner: int, code: str, number: int, bits: int, products: Numbering) -> Row:
    netto, rate, quantity = bits % 90000 / 100, (0, 10)[bits // 3 % 2], (1, 3, 0.06, 2.5)[bits // 5 % 4]
    discount = round(netto * rate / 100, 2)
    price = round(netto - discount, 2)
    product = products.pick(bits >> 3) if bits % 7 else 0
    return {
        "id": owner * 8 + number,
        "ownerId": owner,
        "ownerType": code,
        "productId": product,
        "productName": f"{one_of(words.PRODUCTS, bits // 11)} {product or ''}".strip(),
        "price": _number(price),
        "priceAccount": _number(price),
        "priceExclusive": _number(price),
        "priceNetto": _number(netto),
        "priceBrutto": _number(netto),
        "quantity": quantity,
        "discountTypeId": 2,
        "discountRate": rate,
        "discountSum": _number(discount),
        "taxRate": (None, 20)[bits // 13 % 2],
        "taxIncluded": "Y",
        "customized": "Y",
        "measureCode": 796,
        "measureName": ("шт", "pcs", "Stk")[bits // 17 % 3],
        "sort": 10 * (number + 1),
        "xmlId": f"sale_basket_{owner * 8 + number}" if bits % 2 else "",
        "type": 4 if product else 1,
        "storeId": 17,
    }


def _number(value: float) -> float:
    """PHP writes a whole float without a point."""
    return int(value) if value == int(value) else value


def classic_product_row(row: Row) -> Row:
    """The same row as crm.deal.productrows.get mixes its types."""
    shown: dict[str, Any] = {
        "ID": str(row["id"]),
        "OWNER_ID": str(row["ownerId"]),
        "OWNER_TYPE": row["ownerType"],
        "PRODUCT_ID": row["productId"],
        "PRODUCT_NAME": row["productName"],
        "ORIGINAL_PRODUCT_NAME": row["productName"],
        "PRODUCT_DESCRIPTION": None if row["id"] % 2 else "Detailed description",
        "PRICE": row["price"],
        "PRICE_EXCLUSIVE": row["priceExclusive"],
        "PRICE_NETTO": row["priceNetto"],
        "PRICE_BRUTTO": row["priceBrutto"],
        "PRICE_ACCOUNT": f"{row['priceAccount']:.2f}",
        "QUANTITY": row["quantity"],
        "DISCOUNT_TYPE_ID": row["discountTypeId"],
        "DISCOUNT_RATE": row["discountRate"],
        "DISCOUNT_SUM": row["discountSum"],
        "TAX_RATE": row["taxRate"],
        "TAX_INCLUDED": row["taxIncluded"],
        "CUSTOMIZED": row["customized"],
        "MEASURE_CODE": row["measureCode"],
        "MEASURE_NAME": row["measureName"],
        "SORT": row["sort"],
        "XML_ID": row["xmlId"],
        "TYPE": row["type"],
        "STORE_ID": row["storeId"],
    }
    return shown | {"RESERVE_ID": row["id"] + 1, "DATE_RESERVE_END": "2025-12-26", "RESERVE_QUANTITY": 1}


def comments(world: World, name: str, code: str) -> Callable[[int], list[Row]]:
    """A function id of a record -> its comments; FILES is an object by file id, `{}` or missing."""
    mix, made, show = world.hasher(f"comments of {name}"), world.created(name), world.show

    def make(id_: int) -> list[Row]:
        bits = mix(id_)
        count = MANY_COMMENTS if bits % ONE_IN == 0 else (0, 0, 1, 3)[bits % 4]
        rows = []
        for number in range(count):
            row: Row = {
                "ID": str(id_ * 64 + number),
                "ENTITY_ID": str(id_),
                "ENTITY_TYPE": code,
                "CREATED": show(made(id_) + 3600 * (number + 1)),
                "COMMENT": one_of(words.NOTES, (bits >> 8) + number),
                "AUTHOR_ID": one_of(world.users, (bits >> 16) + number),
            }
            if (bits >> number) % 3:
                row["FILES"] = _files(row, bits) if (bits >> number) % 3 == 1 else {}
            rows.append(row)
        return rows

    return make


def _files(comment: Row, bits: int) -> dict[str, Any]:
    id_ = bits % 9000
    url = f"https://sandbox.example/disk/showFile/{id_}/?&ncc=1&filename=1.gif"
    return {str(id_): {
        "id": id_, "date": comment["CREATED"], "type": "image", "name": "1.gif", "size": 43, "image": {"width": 1,
        "height": 1},
        "authorId": int(comment["AUTHOR_ID"]), "authorName": "Анна Смирнова", "urlPreview": url, "urlShow": url,
        "urlDownload": url,
    }}  # fmt: skip


def stage_history(world: World, owners: str) -> Table:
    """The log of stage changes of deals or leads: append-only, so its times rise with its ids."""
    count = world.numbering[owners].count * MOVES
    columns = DEAL_HISTORY if owners == "deals" else LEAD_HISTORY
    part = Part(tuple(column.name for column in columns), _history_row(world, owners, count))
    return Table(f"{owners}_history", columns, array("q", range(3, 3 + 2 * count, 2)), [part])


def _history_row(world: World, owners: str, count: int) -> Callable[[int], Row]:
    mix, show, numbers, lead = world.hasher(f"history of {owners}"), world.show, world.numbering[owners], lead_stages()

    def make(id_: int) -> Row:
        number, bits = (id_ - 3) // 2, mix(id_)
        newest, step = divmod(number, MOVES)
        owner = numbers.nth(newest if step == 0 else max(0, newest - bits % 40))
        category = FUNNEL_SHARES[bits % 10]
        stages = STAGES[category] if owners == "deals" else lead
        stage: Stage = stages[0] if step == 0 else stages[1 + bits // 10 % (len(stages) - 1)]
        kind = "1" if step == 0 else ("2" if stage.semantics == "P" else "3")
        created = world.begin + int(number * (SPAN - 86400) / max(1, count))
        row = {"ID": str(id_), "TYPE_ID": kind, "OWNER_ID": str(owner), "CREATED_TIME": show(created)}
        if owners == "leads":
            return row | {"STATUS_SEMANTIC_ID": stage.semantics, "STATUS_ID": stage.code}
        return row | {"CATEGORY_ID": str(category), "STAGE_SEMANTIC_ID": stage.semantics, "STAGE_ID": stage.code}

    return make
