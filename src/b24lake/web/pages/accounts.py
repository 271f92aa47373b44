"""People: the accounts, for managers."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response

from b24lake.control import accounts, tokens
from b24lake.errors import UsageError
from b24lake.web import sessions
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.failing import status_of
from b24lake.web.rendering import ROLES

router = APIRouter(prefix="/accounts", include_in_schema=False)


@router.get("", dependencies=[may("manager")])
def people(asked: Asked) -> Response:
    """All accounts and all tokens."""
    return _people(asked)


@router.post("", dependencies=[may("manager")])
def add(asked: Asked, form: Sent) -> Response:
    """A new account, with a first password that its owner may change."""
    _need_login(asked)
    name, role = form.text("name"), form.text("role")
    try:
        with asked.site.database.writing() as session:
            made = accounts.add(session, asked.actor, name, role, form.secret("password")).name
    except UsageError as error:
        return _people(asked, error)
    return seen_after(asked, f"/accounts?done={made}")


@router.post("/{name}/role", dependencies=[may("manager")])
def change_role(asked: Asked, form: Sent, name: str) -> Response:
    """Another role; the account has to log in again, but for one's own."""
    _need_login(asked)
    try:
        with asked.site.database.writing() as session:
            changed = accounts.found(session, name)
            accounts.change_role(session, asked.actor, changed, form.text("role"))
    except UsageError as error:
        return _people(asked, error)
    own = changed.name == asked.viewer.name
    response = seen_after(asked, "/account" if own else "/accounts")
    if own:
        sessions.send(asked.site, sessions.new(asked.site, changed.name, changed.stamp), asked.request, response)
    return response


@router.post("/{name}/password", dependencies=[may("manager")])
def change_password(asked: Asked, form: Sent, name: str) -> Response:
    """Another password for somebody who has forgotten theirs."""
    _need_login(asked)
    try:
        _refuse_own(asked, name)
        with asked.site.database.writing() as session:
            changed = accounts.found(session, name)
            accounts.change_password(session, asked.actor, changed, form.secret("password"))
    except UsageError as error:
        return _people(asked, error)
    return seen_after(asked, f"/accounts?done={changed.name}")


@router.post("/{name}/remove", dependencies=[may("manager")])
def remove(asked: Asked, form: Sent, name: str) -> Response:  # noqa: ARG001
    """Remove an account with its tokens."""
    _need_login(asked)
    try:
        with asked.site.database.writing() as session:
            accounts.remove(session, asked.actor, accounts.found(session, name))
    except UsageError as error:
        return _people(asked, error)
    return seen_after(asked, "/accounts")


@router.post("/tokens/{token}/revoke", dependencies=[may("manager")])
def revoke(asked: Asked, form: Sent, token: str) -> Response:  # noqa: ARG001
    """End anybody's token."""
    _need_login(asked)
    with asked.site.database.writing() as session:
        tokens.revoke(session, asked.actor, token)
    return seen_after(asked, "/accounts")


def _need_login(asked: Asking) -> None:
    """Without a login the first accounts are made on the command line alone."""
    if not asked.site.login:
        raise HTTPException(404, asked.say("There are no accounts here: the app works without a login."))


def _refuse_own(asked: Asking, name: str) -> None:
    """One's own password is changed by whoever knows the old one."""
    if name == asked.viewer.name:
        raise UsageError(asked.say("This is your own account"), fix=asked.say("change your password there"))


def _people(asked: Asking, error: UsageError | None = None) -> Response:
    with asked.site.database.reading() as session:
        known = accounts.listed(session) if asked.site.login else []
        shown = [tokens.document(one) for one in tokens.listed(session)] if asked.site.login else []
    return asked.page(
        "account/accounts.html",
        status=status_of(error) if error else 200,
        accounts=known,
        tokens=shown,
        roles=ROLES,
        error=error,
        done=asked.request.query_params.get("done", "")[:63],
        section="account",
    )
