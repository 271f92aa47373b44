"""Users, departments and open lines: small lists, made whole at the start.

Source: api-reference/user/user-get.md, departments/department-get.md,
imopenlines/openlines/imopenlines-config-list-get.md.
"""

from array import array
from typing import Any

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import one_of
from b24lake.sandbox.data.columns import Column, Row
from b24lake.sandbox.data.dates import DAY, midnight
from b24lake.sandbox.data.table import Part, Table
from b24lake.sandbox.data.world import World

USER_FIELDS = {
    "ID": "ID", "XML_ID": "External code", "ACTIVE": "Activity", "NAME": "First Name", "LAST_NAME": "Last Name",
    "SECOND_NAME": "Middle Name", "TITLE": "User List", "EMAIL": "E-Mail", "LAST_LOGIN": "Last Authorization",
    "DATE_REGISTER": "Registration Date", "TIME_ZONE": "TIME_ZONE", "IS_ONLINE": "IS_ONLINE",
    "TIMESTAMP_X": "TIMESTAMP_X",
    "LAST_ACTIVITY_DATE": "LAST_ACTIVITY_DATE", "PERSONAL_GENDER": "Gender", "PERSONAL_PROFESSION": "Profession",
    "PERSONAL_WWW": "Homepage", "PERSONAL_BIRTHDAY": "Date of Birth", "PERSONAL_PHOTO": "Photo",
    "PERSONAL_PHONE": "Personal Phone",
    "PERSONAL_MOBILE": "Personal Mobile", "PERSONAL_CITY": "Residential City", "WORK_PHONE": "Company Phone",
    "WORK_POSITION": "Job Title", "UF_EMPLOYMENT_DATE": "Hire Date", "UF_DEPARTMENT": "Units", "UF_SKILLS": "Skills",
    "UF_PHONE_INNER": "Extension", "UF_USR_1688456": "UF_USR_1688456", "USER_TYPE": "USER_TYPE",
}  # fmt: skip
DEPARTMENT_FIELDS = {
    "ID": "ID", "NAME": "Department Name", "SORT": "Sort Order", "PARENT": "Parent Department", "UF_HEAD": "Manager",
}  # fmt: skip
USER_TYPES = {"ID": "integer", "UF_DEPARTMENT": "integer", "TIMESTAMP_X": "datetime", "LAST_ACTIVITY_DATE": "datetime",
              "LAST_LOGIN": "datetime", "DATE_REGISTER": "date", "PERSONAL_BIRTHDAY": "date",
              "ACTIVE": "boolean"}  # fmt: skip
_LINE_COLUMNS_TEXT = """
ID ACTIVE LINE_NAME CRM CRM_CREATE CRM_CREATE_SECOND CRM_CREATE_THIRD CRM_FORWARD CRM_CHAT_TRACKER
CRM_TRANSFER_CHANGE CRM_SOURCE QUEUE_TIME NO_ANSWER_TIME QUEUE_TYPE CHECK_AVAILABLE WATCH_TYPING WELCOME_BOT_ENABLE
WELCOME_MESSAGE WELCOME_MESSAGE_TEXT VOTE_MESSAGE VOTE_CLOSING_DELAY AGREEMENT_MESSAGE AGREEMENT_ID CATEGORY_ENABLE
CATEGORY_ID WORKTIME_ENABLE WORKTIME_FROM WORKTIME_TO WORKTIME_TIMEZONE WORKTIME_HOLIDAYS WORKTIME_DAYOFF CLOSE_RULE
CLOSE_TEXT FULL_CLOSE_TIME AUTO_CLOSE_RULE AUTO_CLOSE_TIME AUTO_EXPIRE_TIME DATE_CREATE DATE_MODIFY MODIFY_USER_ID
TEMPORARY XML_ID LANGUAGE_ID QUICK_ANSWERS_IBLOCK_ID TYPE_MAX_CHAT MAX_CHAT OPERATOR_DATA DEFAULT_OPERATOR_DATA
KPI_FIRST_ANSWER_TIME SEND_NOTIFICATION_EMPTY_QUEUE USE_WELCOME_FORM VOTE_TIME_LIMIT VOTE_BEFORE_FINISH
VOTE_MESSAGE_1_TEXT VOTE_MESSAGE_1_LIKE VOTE_MESSAGE_1_DISLIKE VOTE_MESSAGE_2_TEXT VOTE_MESSAGE_2_LIKE
VOTE_MESSAGE_2_DISLIKE WELCOME_BOT_JOIN WELCOME_BOT_ID WELCOME_BOT_TIME WELCOME_BOT_LEFT NO_ANSWER_RULE
NO_ANSWER_FORM_ID NO_ANSWER_BOT_ID NO_ANSWER_TEXT WORKTIME_DAYOFF_RULE WORKTIME_DAYOFF_FORM_ID WORKTIME_DAYOFF_BOT_ID
WORKTIME_DAYOFF_TEXT CLOSE_FORM_ID CLOSE_BOT_ID AUTO_CLOSE_FORM_ID AUTO_CLOSE_BOT_ID AUTO_CLOSE_TEXT SESSION_PRIORITY
KPI_FIRST_ANSWER_ALERT KPI_FIRST_ANSWER_LIST KPI_FIRST_ANSWER_TEXT KPI_FURTHER_ANSWER_TIME KPI_FURTHER_ANSWER_ALERT
KPI_FURTHER_ANSWER_LIST KPI_FURTHER_ANSWER_TEXT KPI_CHECK_OPERATOR_ACTIVITY WELCOME_FORM_ID WELCOME_FORM_DELAY
SEND_WELCOME_EACH_SESSION CONFIRM_CLOSE IGNORE_WELCOME_FORM_RESPONSIBLE
"""
LINE_COLUMNS = _LINE_COLUMNS_TEXT.split()


def users(world: World) -> Table:
    """Employees; every fifth one is dismissed. Keys that were never filled are absent."""
    columns = [
        Column(name=name, type=USER_TYPES.get(name, "string"), title=title) for name, title in USER_FIELDS.items()
    ]
    made = world.hasher("users")

    def moment(id_: int) -> int:
        return world.epoch - 1 - made(id_) % (200 * DAY)

    return Table(
        "users", columns, array("q", world.user_ids), [Part(tuple(USER_FIELDS), lambda id_: _user(world, id_))],
        raw={"TIMESTAMP_X": moment, "LAST_ACTIVITY_DATE": moment}, stamps=("TIMESTAMP_X",),
        hidden={"TIMESTAMP_X": {}, "LAST_ACTIVITY_DATE": {}},
    )  # fmt: skip


def departments(world: World) -> Table:
    """The tree of departments; the root has no PARENT."""
    types = {"ID": "integer", "SORT": "integer", "PARENT": "integer"}
    columns = [
        Column(name=name, type=types.get(name, "string"), title=title) for name, title in DEPARTMENT_FIELDS.items()
    ]
    ids = array("q", [1, *range(3, world.settings.departments + 2)])
    return Table("departments", columns, ids, [Part(tuple(DEPARTMENT_FIELDS), lambda id_: _department(world, id_))])


def open_lines(world: World) -> Table:
    """Open lines, whose dates arrive as empty objects."""
    types = {"ID": "integer", "DATE_CREATE": "datetime", "DATE_MODIFY": "datetime"}
    columns = [Column(name=name, type=types.get(name, "string"), title=name) for name in LINE_COLUMNS]
    ids = array("q", range(1, 2 * world.settings.open_lines + 1, 2))
    return Table("open_lines", columns, ids, [Part(tuple(LINE_COLUMNS), lambda id_: _line(world, id_))])


def _user(world: World, id_: int) -> Row:
    bits, show = world.hasher("users")(id_), world.show
    seen = world.epoch - 1 - bits % (90 * DAY)
    row: dict[str, Any] = {
        "ID": str(id_),
        "ACTIVE": id_ == world.settings.user_id or bits % 5 > 0,
        "NAME": one_of(words.FIRST_NAMES, bits // 3),
        "LAST_NAME": one_of(words.LAST_NAMES, bits // 5),
    }
    if bits // 7 % 2:
        row["SECOND_NAME"] = ""
    row |= {
        "EMAIL": f"user{id_}@example.com",
        "LAST_LOGIN": show(seen) if bits % 11 else "",
        "DATE_REGISTER": show(midnight(world.begin + bits % (300 * DAY))),
    }
    if bits // 11 % 2:
        row["TIME_ZONE"] = ""
    row |= {"IS_ONLINE": "Y" if bits % 13 == 0 else "N", "TIMESTAMP_X": {}, "LAST_ACTIVITY_DATE": {}}
    row |= {"PERSONAL_GENDER": ("", "M", "F")[bits // 13 % 3]}
    if bits // 17 % 3 == 0:
        row |= {
            "PERSONAL_WWW": "",
            "PERSONAL_MOBILE": f"+7916{bits % 10000000:07}",
            "PERSONAL_CITY": one_of(words.CITIES, bits // 19),
        }
    row["PERSONAL_BIRTHDAY"] = show(midnight(bits // 23 % 900000000)) if bits % 2 else ""
    if bits // 29 % 4 == 0:
        row |= {"PERSONAL_PHOTO": f"https://sandbox.example/upload/main/{id_}/photo.jpg", "WORK_PHONE": ""}
    row |= {"WORK_POSITION": one_of(words.POSTS, bits // 31) if bits % 3 else "", "UF_EMPLOYMENT_DATE": ""}
    row["UF_DEPARTMENT"] = [1] if bits % 4 == 0 else [3 + bits % max(1, world.settings.departments - 1)]
    if bits // 37 % 5 == 0:
        row |= {"UF_PHONE_INNER": str(100 + id_), "UF_USR_1688456": "Größe L"}
    return row | {"USER_TYPE": "employee"}


def _department(world: World, id_: int) -> Row:
    row: Row = {"ID": str(id_), "NAME": words.DEPARTMENTS[(id_ - 1) % len(words.DEPARTMENTS)], "SORT": 500}
    if id_ == 1:
        return row
    row["PARENT"] = "1" if id_ < 8 else "3"
    if id_ % 3 == 0:
        row["UF_HEAD"] = one_of(world.users, id_)
    return row


def _line(world: World, id_: int) -> Row:
    row: Row = dict.fromkeys(LINE_COLUMNS, "N")
    row |= {name: "0" for name in LINE_COLUMNS if name.endswith(("_FORM_ID", "_BOT_ID", "_TIME", "_LIMIT"))}
    row |= {name: "Please rate our work" for name in LINE_COLUMNS if name.endswith(("_TEXT", "_LIKE", "_DISLIKE"))}
    return row | {
        "ID": str(id_), "ACTIVE": "Y", "LINE_NAME": ("Сайт: чат", "VIP Support Line", "Vendas & Suporte")[id_ // 2 % 3],
        "CRM": "Y", "CRM_CREATE": "lead", "CRM_SOURCE": "create", "QUEUE_TYPE": "evenly", "QUEUE_TIME": "60",
        "NO_ANSWER_TIME": "60",
        "WELCOME_MESSAGE_TEXT": words.NOTES[id_ % len(words.NOTES)], "AGREEMENT_ID": "0", "CATEGORY_ID": "0",
        "WORKTIME_FROM": "9",
        "WORKTIME_TO": "18.30", "WORKTIME_TIMEZONE": "Europe/Moscow", "WORKTIME_HOLIDAYS": [],
        "WORKTIME_DAYOFF": ["SA", "SU"],
        "DATE_CREATE": {}, "DATE_MODIFY": {}, "MODIFY_USER_ID": world.users[0], "XML_ID": None, "LANGUAGE_ID": "ru",
        "CLOSE_TEXT": "", "FULL_CLOSE_TIME": "10", "AUTO_CLOSE_TIME": "14400", "AUTO_EXPIRE_TIME": "0", "MAX_CHAT": "0",
        "QUICK_ANSWERS_IBLOCK_ID": "0", "TYPE_MAX_CHAT": "answered_new", "OPERATOR_DATA": "profile",
        "DEFAULT_OPERATOR_DATA": [],
        "KPI_FIRST_ANSWER_LIST": None, "KPI_FURTHER_ANSWER_LIST": None, "SESSION_PRIORITY": "0",
        "WELCOME_BOT_JOIN": "always", "WELCOME_BOT_LEFT": "close", "CLOSE_RULE": "text", "NO_ANSWER_RULE": "text",
        "AUTO_CLOSE_RULE": "none", "WORKTIME_DAYOFF_RULE": "text", "CRM_CREATE_SECOND": "0",
    }  # fmt: skip
