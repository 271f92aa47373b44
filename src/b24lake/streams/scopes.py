"""The permissions (scopes) of a webhook: their names on Bitrix24's screens, what each unlocks, where to tick them.

Source: api-reference/scopes/permissions.md of the vendor's docs, user/user-scope.md for the three of users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WHERE = "open the incoming webhook in Bitrix24 > Applications > Developer resources > Integrations"


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission: its code, its name on Bitrix24's screens, what it unlocks, and what else it is called."""

    code: str
    title: str
    unlocks: str
    also: str = ""

    @property
    def shown(self) -> str:
        """As a person finds it: `Company structure (department, elsewhere called departments)`."""
        return f"{self.title} ({self.code}{f', elsewhere called {self.also}' if self.also else ''})"


SCOPES: Mapping[str, Scope] = {
    scope.code: scope
    for scope in (
        Scope(
            "crm",
            "CRM",
            "contacts, companies, deals, leads, activities, products, directories, stage histories, smart processes, "
            "field definitions; where they are switched on, the comments and product rows of deals",
        ),
        Scope("user", "Users", "employees, with everything their profiles hold"),
        Scope("user_basic", "Users (basic)", "employees, without the time of their last login"),
        Scope("user_brief", "Users (minimal)", "employees, without e-mail addresses and phone numbers"),
        Scope(
            "user.userfield", "User custom fields", "the custom fields of employees, in addition to one of the above"
        ),
        Scope("department", "Company structure", "departments", also="departments"),
        Scope("telephony", "Telephony", "calls: the statistics of the telephony"),
        Scope("imopenlines", "Open channels", "open lines: the configurations of the channels"),
    )
}


def tick(codes: Iterable[str]) -> str:
    """What to do for one of these scopes, in a sentence without its full stop."""
    shown = [SCOPES[code].shown if code in SCOPES else code for code in codes]
    return f"{WHERE}, tick {' or '.join(shown)}, and save"
