"""Funnels, stages and other reference lists of the portal.

Source: api-reference/crm/status/crm-status-list.md, api-reference/crm/universal/category/crm-category-list.md.
"""

from typing import Any, NamedTuple

from b24lake.sandbox.data.columns import Row, read_columns


class Stage(NamedTuple):
    """A stage of a funnel: its code, and P in progress, S won, F lost."""

    code: str
    semantics: str


# Smart processes: (type id, entityTypeId, title, table, category id)
SMART = (
    (4, 128, "Договоры", "spa_128", 10),
    (7, 156, "Purchase", "spa_156", 11),
    (9, 1032, "Qualitätsprüfung", "spa_1032", 12),
)
FUNNELS = {0: "Общая", 1: "Опт & дилеры", 3: "Licitações", 5: "Service contracts", 8: "Küchen"}
CATEGORY_ORDER = (1, 3, 5, 8, 0)  # the default one has the highest sort

STATUS_COLUMNS = read_columns("""
ID integer R -|ID
ENTITY_ID string !I -|Entity ID
STATUS_ID string !I -|Status
SORT integer . -|Sorting
NAME string ! -|Name
NAME_INIT string R -|Default Name
SYSTEM char R -|System
CATEGORY_ID integer I -|CATEGORY_ID
COLOR string . -|COLOR
SEMANTICS char I -|SEMANTICS
EXTRA crm_status_extra . -|Additional Fields
""")

_DEAL = (
    ("NEW", "Новая", "P"), ("PREPARATION", "Подготовка документов", "P"), ("PREPAYMENT_INVOICE",
    "Счёт на предоплату", "P"),
    ("EXECUTING", "В работе", "P"), ("FINAL_INVOICE", "Финальный счёт", "P"), ("WON", "Сделка успешна", "S"),
    ("LOSE", "Сделка провалена", "F"), ("APOLOGY", "Анализ причины провала", "F"),
)  # fmt: skip
_LEAD = (
    ("NEW", "Не обработан", "P"), ("IN_PROCESS", "В работе", "P"), ("PROCESSED", "Обработан", "P"), ("1",
    "Qualificado", "P"),
    ("CONVERTED", "Качественный лид", "S"), ("JUNK", "Некачественный лид", "F"),
)  # fmt: skip
_SMART = (
    ("NEW", "Start", "P"), ("PREPARATION", "Vorbereitung", "P"), ("CLIENT", "With the client", "P"),
    ("SUCCESS", "Done", "S"), ("FAIL", "Cancelado", "F"),
)  # fmt: skip
_LISTS = {
    "SOURCE": "CALL EMAIL WEB ADVERTISING PARTNER RECOMMENDATION TRADE_SHOW WEBFORM CALLBACK RC_GENERATOR STORE OTHER",
    "CONTACT_TYPE": "CLIENT SUPPLIER PARTNER OTHER",
    "COMPANY_TYPE": "CUSTOMER SUPPLIER COMPETITOR PARTNER OTHER",
    "EMPLOYEES": "EMPLOYEES_1 EMPLOYEES_2 EMPLOYEES_3 EMPLOYEES_4",
    "INDUSTRY": "IT TELECOM MANUFACTURING BANKING CONSULTING FINANCE GOVERNMENT DELIVERY ENTERTAINMENT NOTPROFIT OTHER",
    "DEAL_TYPE": "SALE COMPLEX GOODS SERVICES SERVICE",
    "HONORIFIC": "HNR_RU_1 HNR_RU_2 HNR_EN_4",
    "CALL_LIST": "IN_WORK SUCCESS WRONG_NUMBER STOP_CALLING",
    "QUOTE_STATUS": "DRAFT SENT APPROVED DECLAINED",
}
_COLORS = {"P": "#39A8EF", "S": "#7BD500", "F": "#FF5752"}
_GROUPS = {"P": "process", "S": "success", "F": "failure"}


def choices(entity: str) -> tuple[str, ...]:
    """The STATUS_ID values of a reference list."""
    return tuple(_LISTS[entity].split())


def deal_stages(category: int) -> tuple[Stage, ...]:
    """Stages of a deal funnel; only the default one has no prefix."""
    prefix = f"C{category}:" if category else ""
    return tuple(Stage(prefix + code, semantics) for code, _, semantics in _DEAL)


def lead_stages() -> tuple[Stage, ...]:
    """Stages of leads."""
    return tuple(Stage(code, semantics) for code, _, semantics in _LEAD)


def smart_stages(entity_type: int, category: int) -> tuple[Stage, ...]:
    """Stages of a smart process: `DT128_10:NEW`."""
    return tuple(Stage(f"DT{entity_type}_{category}:{code}", semantics) for code, _, semantics in _SMART)


def status_rows() -> list[Row]:
    """All rows of crm.status.list."""
    rows: list[Row] = []
    _stages(rows, "STATUS", "", _LEAD, None)
    for category in FUNNELS:
        entity, prefix = (f"DEAL_STAGE_{category}", f"C{category}:") if category else ("DEAL_STAGE", "")
        _stages(rows, entity, prefix, _DEAL, str(category) if category else None)
    for _, entity_type, _, _, category in SMART:
        entity, prefix = f"DYNAMIC_{entity_type}_STAGE_{category}", f"DT{entity_type}_{category}:"
        _stages(rows, entity, prefix, _SMART, str(category))
    for entity in _LISTS:
        for number, code in enumerate(choices(entity)):
            rows.append(_status(rows, entity, code, code.replace("_", " ").capitalize(), number))
    return rows


def _stages(
    rows: list[Row], entity: str, prefix: str, stages: tuple[tuple[str, str, str], ...], category: str | None
) -> None:
    for number, (code, name, semantics) in enumerate(stages):
        row = _status(rows, entity, prefix + code, name, number)
        row["CATEGORY_ID"] = category
        row["COLOR"] = _COLORS[semantics]
        row["SEMANTICS"] = None if semantics == "P" else semantics
        group = "apology" if code == "APOLOGY" else _GROUPS[semantics]
        rows.append(row | {"EXTRA": {"SEMANTICS": group, "COLOR": _COLORS[semantics]}})


def _status(rows: list[Row], entity: str, code: str, name: str, number: int) -> Row:
    system = number == 0
    return {
        "ID": str(1 + 2 * len(rows)),
        "ENTITY_ID": entity,
        "STATUS_ID": code,
        "NAME": name,
        "NAME_INIT": name if system else "",
        "SORT": str(10 * (number + 1)),
        "SYSTEM": "Y" if system else "N",
        "CATEGORY_ID": None,
        "COLOR": None,
        "SEMANTICS": None,
    }


def categories(entity_type: int) -> list[dict[str, Any]] | None:
    """The funnels of an entity type as crm.category.list shows them; None where it has no funnels."""
    if entity_type == 2:
        return [_category(id_, FUNNELS[id_], 2, default=id_ == 0) for id_ in CATEGORY_ORDER]
    if entity_type in {3, 4}:
        return [_category(0, "General", entity_type, default=True)]
    for _, smart_type, title, _, category in SMART:
        if smart_type == entity_type:
            return [_category(category, title, entity_type, default=True)]
    return None


def _category(id_: int, name: str, entity_type: int, *, default: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": id_,
        "name": name,
        "sort": 300 if default else 200,
        "entityTypeId": entity_type,
        "isDefault": "Y" if default else "N",
    }
    return row if default else row | {"originId": "", "originatorId": ""}
