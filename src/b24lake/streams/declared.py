"""Columns of streams whose method does not describe them: code -> declared type, written from the vendor's pages.

Types are those of `*.fields` descriptors; "user[]" is a list. A key that no page names lands as text all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

Declared = Mapping[str, str]


def _texts(codes: str) -> dict[str, str]:
    return dict.fromkeys(codes.split(), "string")


def _flags(codes: str) -> dict[str, str]:
    return dict.fromkeys(codes.split(), "char")


def _answers(codes: str) -> dict[str, str]:
    return dict.fromkeys(codes.split(), "boolean")


def _numbers(codes: str) -> dict[str, str]:
    return dict.fromkeys(codes.split(), "integer")


DESCRIPTOR: Declared = {
    "id": "string",
    "type": "string",
    "title": "string",
    **_answers("isRequired isReadOnly isImmutable isMultiple isDynamic isDeprecated"),
    "statusType": "string",
    "items": "items",
    "listLabel": "string",
    "formLabel": "string",
    "filterLabel": "string",
    "settings": "object",
}
ITEM_DESCRIPTOR: Declared = {**DESCRIPTOR, "upperName": "string"}

STATUS: Declared = {
    "ID": "integer",
    "ENTITY_ID": "string",
    "STATUS_ID": "string",
    "NAME": "string",
    "NAME_INIT": "string",
    "SORT": "integer",
    "SYSTEM": "char",
    "CATEGORY_ID": "crm_category",
    "COLOR": "string",
    "SEMANTICS": "string",
    "EXTRA": "object",
}
DEPARTMENT: Declared = {"ID": "integer", "NAME": "string", "SORT": "integer", "PARENT": "department", "UF_HEAD": "user"}
USER: Declared = {
    "ID": "integer",
    "XML_ID": "string",
    "ACTIVE": "boolean",
    "NAME": "string",
    "LAST_NAME": "string",
    "SECOND_NAME": "string",
    "TITLE": "string",
    "EMAIL": "string",
    "LAST_LOGIN": "datetime",
    "DATE_REGISTER": "date",
    "TIME_ZONE": "string",
    "IS_ONLINE": "char",
    "TIME_ZONE_OFFSET": "integer",
    "TIMESTAMP_X": "datetime",
    "LAST_ACTIVITY_DATE": "datetime",
    "PERSONAL_GENDER": "string",
    "PERSONAL_BIRTHDAY": "date",
    "PERSONAL_PHOTO": "string",
    "WORK_POSITION": "string",
    "UF_EMPLOYMENT_DATE": "date",
    "UF_DEPARTMENT": "department[]",
    "UF_PHONE_INNER": "string",
    "USER_TYPE": "string",
}
PRODUCT: Declared = {"PREVIEW_PICTURE": "product_file", "DETAIL_PICTURE": "product_file", "TIMESTAMP_X": "datetime"}

CALL: Declared = {
    "ID": "integer",
    "PORTAL_USER_ID": "user",
    **_texts("PORTAL_NUMBER PHONE_NUMBER CALL_ID EXTERNAL_CALL_ID CALL_CATEGORY"),
    "CALL_TYPE": "integer",
    "CALL_DURATION": "integer",
    "CALL_START_DATE": "datetime",
    **_texts("CALL_LOG CALL_RECORD_URL"),
    "CALL_VOTE": "integer",
    "COST": "double",
    **_texts("COST_CURRENCY CALL_FAILED_CODE CALL_FAILED_REASON CRM_ENTITY_TYPE"),
    "CRM_ENTITY_ID": "crm_entity",
    "CRM_ACTIVITY_ID": "crm_entity",
    **_texts("REST_APP_ID REST_APP_NAME TRANSCRIPT_ID"),
    "TRANSCRIPT_PENDING": "char",
    "REDIAL_ATTEMPT": "integer",
    "COMMENT": "string",
    "RECORD_DURATION": "integer",
    "RECORD_FILE_ID": "integer",
    "SESSION_ID": "string",
}

_HISTORY: Declared = {"ID": "integer", "TYPE_ID": "integer", "OWNER_ID": "integer", "CREATED_TIME": "datetime"}
DEAL_HISTORY: Declared = {
    **_HISTORY,
    "CATEGORY_ID": "crm_category",
    "STAGE_SEMANTIC_ID": "string",
    "STAGE_ID": "crm_status",
}
LEAD_HISTORY: Declared = {**_HISTORY, "STATUS_SEMANTIC_ID": "string", "STATUS_ID": "crm_status"}

COMMENT: Declared = {
    "ID": "integer",
    "ENTITY_ID": "integer",
    "ENTITY_TYPE": "string",
    "CREATED": "datetime",
    "COMMENT": "string",
    "AUTHOR_ID": "user",
    "FILES": "object",
}
PRODUCT_ROW: Declared = {
    "ID": "integer",
    "OWNER_ID": "integer",
    "OWNER_TYPE": "string",
    "PRODUCT_ID": "crm_entity",
    **_texts("PRODUCT_NAME ORIGINAL_PRODUCT_NAME PRODUCT_DESCRIPTION"),
    **dict.fromkeys(("PRICE", "PRICE_EXCLUSIVE", "PRICE_NETTO", "PRICE_BRUTTO", "PRICE_ACCOUNT"), "double"),
    "QUANTITY": "double",
    "DISCOUNT_TYPE_ID": "integer",
    "DISCOUNT_RATE": "double",
    "DISCOUNT_SUM": "double",
    "TAX_RATE": "double",
    **_flags("TAX_INCLUDED CUSTOMIZED"),
    "MEASURE_CODE": "integer",
    "MEASURE_NAME": "string",
    "SORT": "integer",
    "XML_ID": "string",
    "TYPE": "integer",
    **_numbers("STORE_ID RESERVE_ID"),
    "DATE_RESERVE_END": "date",
    "RESERVE_QUANTITY": "double",
}

SMART_TYPE: Declared = {
    "id": "integer",
    "title": "string",
    "code": "string",
    "createdBy": "user",
    "entityTypeId": "integer",
    "customSectionId": "integer",
    **_answers("isCategoriesEnabled isStagesEnabled isBeginCloseDatesEnabled isClientEnabled isUseInUserfieldEnabled"),
    **_answers("isLinkWithProductsEnabled isMycompanyEnabled isDocumentsEnabled isSourceEnabled isObserversEnabled"),
    **_answers("isRecyclebinEnabled isAutomationEnabled isBizProcEnabled isSetOpenPermissions isPaymentsEnabled"),
    "isCountersEnabled": "boolean",
    "createdTime": "datetime",
    "updatedTime": "datetime",
    "updatedBy": "user",
}

OPEN_LINE: Declared = {
    "ID": "integer",
    "ACTIVE": "char",
    "LINE_NAME": "string",
    "CRM": "char",
    **_texts("CRM_CREATE CRM_CREATE_SECOND CRM_CREATE_THIRD"),
    **_flags("CRM_FORWARD CRM_CHAT_TRACKER CRM_TRANSFER_CHANGE"),
    "CRM_SOURCE": "string",
    **_numbers("QUEUE_TIME NO_ANSWER_TIME"),
    "QUEUE_TYPE": "string",
    **_flags("CHECK_AVAILABLE WATCH_TYPING WELCOME_BOT_ENABLE WELCOME_MESSAGE"),
    "WELCOME_MESSAGE_TEXT": "string",
    "VOTE_MESSAGE": "char",
    "VOTE_TIME_LIMIT": "integer",
    **_flags("VOTE_BEFORE_FINISH VOTE_CLOSING_DELAY"),
    **_texts("VOTE_MESSAGE_1_TEXT VOTE_MESSAGE_1_LIKE VOTE_MESSAGE_1_DISLIKE"),
    **_texts("VOTE_MESSAGE_2_TEXT VOTE_MESSAGE_2_LIKE VOTE_MESSAGE_2_DISLIKE"),
    "AGREEMENT_MESSAGE": "char",
    "AGREEMENT_ID": "integer",
    "CATEGORY_ENABLE": "char",
    "CATEGORY_ID": "integer",
    "WELCOME_BOT_JOIN": "string",
    **_numbers("WELCOME_BOT_ID WELCOME_BOT_TIME"),
    "WELCOME_BOT_LEFT": "string",
    "NO_ANSWER_RULE": "string",
    **_numbers("NO_ANSWER_FORM_ID NO_ANSWER_BOT_ID"),
    "NO_ANSWER_TEXT": "string",
    "WORKTIME_ENABLE": "char",
    **_texts("WORKTIME_FROM WORKTIME_TO WORKTIME_TIMEZONE"),
    "WORKTIME_HOLIDAYS": "string[]",
    "WORKTIME_DAYOFF": "string[]",
    "WORKTIME_DAYOFF_RULE": "string",
    **_numbers("WORKTIME_DAYOFF_FORM_ID WORKTIME_DAYOFF_BOT_ID"),
    "WORKTIME_DAYOFF_TEXT": "string",
    "CLOSE_RULE": "string",
    **_numbers("CLOSE_FORM_ID CLOSE_BOT_ID"),
    "CLOSE_TEXT": "string",
    "FULL_CLOSE_TIME": "integer",
    "AUTO_CLOSE_RULE": "string",
    **_numbers("AUTO_CLOSE_FORM_ID AUTO_CLOSE_BOT_ID AUTO_CLOSE_TIME"),
    "AUTO_CLOSE_TEXT": "string",
    "AUTO_EXPIRE_TIME": "integer",
    "DATE_CREATE": "datetime",
    "DATE_MODIFY": "datetime",
    "MODIFY_USER_ID": "user",
    "TEMPORARY": "char",
    **_texts("XML_ID LANGUAGE_ID"),
    **_numbers("QUICK_ANSWERS_IBLOCK_ID SESSION_PRIORITY"),
    "TYPE_MAX_CHAT": "string",
    "MAX_CHAT": "integer",
    "OPERATOR_DATA": "string",
    "DEFAULT_OPERATOR_DATA": "object",
    "KPI_FIRST_ANSWER_TIME": "integer",
    "KPI_FIRST_ANSWER_ALERT": "char",
    "KPI_FIRST_ANSWER_LIST": "object",
    "KPI_FIRST_ANSWER_TEXT": "string",
    "KPI_FURTHER_ANSWER_TIME": "integer",
    "KPI_FURTHER_ANSWER_ALERT": "char",
    "KPI_FURTHER_ANSWER_LIST": "object",
    "KPI_FURTHER_ANSWER_TEXT": "string",
    **_flags("KPI_CHECK_OPERATOR_ACTIVITY SEND_NOTIFICATION_EMPTY_QUEUE USE_WELCOME_FORM"),
    "WELCOME_FORM_ID": "integer",
    **_flags("WELCOME_FORM_DELAY SEND_WELCOME_EACH_SESSION CONFIRM_CLOSE IGNORE_WELCOME_FORM_RESPONSIBLE"),
    "QUEUE": "user[]",
    "QUEUE_USERS_FIELDS": "object",
    "CONFIG_QUEUE": "object",
    "QUEUE_FULL": "object",
    "QUEUE_ONLINE": "char",
}
