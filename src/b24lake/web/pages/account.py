"""Logging in and out; one's own password and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from b24lake.control import accounts, logins, sources, tokens
from b24lake.control.tokens import ROLE_FOR, SCOPES
from b24lake.errors import B24LakeError, UsageError
from b24lake.web import sessions
from b24lake.web.asking import Asked, Asking, Sent, may, seen_after
from b24lake.web.failing import status_of
from b24lake.web.security import local_path

router = APIRouter(include_in_schema=False)
DAYS = (7, 30, 90, 365)


# --- logging in and out -----------------------------------------------------------------------------------------------


@router.get("/login")
def login(asked: Asked, next: str = "") -> Response:  # noqa: A002
    """The form; whoever is logged in goes on."""
    if asked.viewer.role:
        return RedirectResponse(local_path(next), status_code=303)
    return _form(asked, next)


@router.post("/login")
def log_in(asked: Asked, form: Sent) -> Response:
    """Log in, with a session that nobody has had before."""
    name, following, site = form.text("name"), form.text("next"), asked.site
    kept, address = accounts.name_of(name) or "", client_of(asked.request)
    try:
        person = logins.log_in(site.database, kept, form.secret("password"), address, asked.viewer.now)
    except UsageError as error:
        return _form(asked, following, name, error, status_of(error))
    if person is None:
        return _form(asked, following, name, B24LakeError(asked.say("The name or the password is wrong.")), 401)
    response = RedirectResponse(local_path(following), status_code=303)
    sessions.send(site, sessions.new(site, person.name, person.stamp), asked.request, response)
    return response


@router.post("/logout")
def log_out(asked: Asked, form: Sent) -> Response:  # noqa: ARG001  it has checked the token
    """End the session; its cookie is worth nothing from now on."""
    if asked.viewer.name:
        logins.log_out(asked.site.database, asked.viewer.name, asked.session.id, asked.viewer.now)
    response = RedirectResponse("/login" if asked.site.login else "/sources", status_code=303)
    sessions.send(asked.site, sessions.new(asked.site), asked.request, response)
    return response


def client_of(request: Request) -> str:
    """The address of the client, as uvicorn knows it or a trusted proxy tells it."""
    return request.client.host if request.client else ""


def _form(
    asked: Asking, following: str, name: str = "", error: B24LakeError | None = None, status: int = 200
) -> Response:
    values: dict[str, Any] = {"next": local_path(following), "name": name[:63], "error": error, "section": ""}
    return asked.page("account/login.html", status=status, **values)


# --- one's own account ------------------------------------------------------------------------------------------------


@router.get("/account", dependencies=[may("viewer")])
def account(asked: Asked) -> Response:
    """One's own account: password, tokens."""
    return _account(asked)


@router.post("/account/password", dependencies=[may("viewer")])
def change_password(asked: Asked, form: Sent) -> Response:
    """Another password: all other sessions end, and this one goes on."""
    site, name = asked.site, _own(asked)
    try:
        stamp = _change_password(asked, form, name)
    except UsageError as error:
        return _account(asked, error=error)
    response = RedirectResponse("/account?done=password", status_code=303)
    sessions.send(site, sessions.new(site, name, stamp), asked.request, response)
    return response


def _change_password(asked: Asking, form: Sent, name: str) -> str:
    """Returns the account's new stamp."""
    site, now, new = asked.site, asked.viewer.now, form.secret("new")
    if new != form.secret("again"):
        raise UsageError(asked.say("The two new passwords differ"), fix=asked.say("type the same one twice"))
    address = client_of(asked.request)
    if logins.log_in(site.database, name, form.secret("old"), address, now, doing="proved who they are") is None:
        raise UsageError(asked.say("The old password is wrong"), fix=asked.say("nothing was changed"))
    with site.database.writing() as session:
        changed = accounts.found(session, name)
        accounts.change_password(session, asked.actor, changed, new)
    return changed.stamp


@router.post("/account/sessions", dependencies=[may("viewer")])
def end_sessions(asked: Asked, form: Sent) -> Response:  # noqa: ARG001
    """Log out everywhere but here."""
    site, name = asked.site, _own(asked)
    with site.database.writing() as session:
        changed = accounts.found(session, name)
        accounts.end_sessions(session, asked.actor, changed)
    response = RedirectResponse("/account?done=sessions", status_code=303)
    sessions.send(site, sessions.new(site, name, changed.stamp), asked.request, response)
    return response


@router.post("/account/tokens", dependencies=[may("viewer")])
def add_token(asked: Asked, form: Sent) -> Response:
    """A token of one's own: the answer shows it, and nothing ever again."""
    days = form.text("days")
    until = asked.viewer.now + timedelta(days=int(days)) if days in map(str, DAYS) else None
    name, scopes, only = form.text("name"), form.texts("scope"), form.texts("source")
    try:
        with asked.site.database.writing() as session:
            _, text = tokens.add(
                session,
                asked.actor,
                name,
                scopes,
                account=_own(asked),
                sources=only,
                tables=form.text("tables").split(),
                expires_at=until,
            )
    except UsageError as error:
        return _account(asked, error=error)
    return _account(asked, made=text)


@router.post("/account/tokens/{token}/revoke", dependencies=[may("viewer")])
def revoke_token(asked: Asked, form: Sent, token: str) -> Response:  # noqa: ARG001
    """End one of one's own tokens."""
    with asked.site.database.writing() as session:
        tokens.revoke(session, asked.actor, token, _own(asked))
    return seen_after(asked, "/account?done=token")


def _own(asked: Asking) -> str:
    if not asked.viewer.name:
        raise HTTPException(404, asked.say("There are no accounts here: the app works without a login."))
    return asked.viewer.name


def _account(asked: Asking, *, error: UsageError | None = None, made: str = "") -> Response:
    name, viewer = asked.viewer.name, asked.viewer
    with asked.site.database.reading() as session:
        own = [tokens.document(one) for one in tokens.listed(session, name)] if name else []
        known = [(one.id, one.name) for one in sources.listed(session)] if name else []
    values: dict[str, Any] = {
        "tokens": own,
        "known": known,
        "scopes": [scope for scope in SCOPES if viewer.may(ROLE_FOR[scope])],
        "days": DAYS,
        "error": error,
        "made": made,
        "done": asked.request.query_params.get("done", ""),
        "section": "account",
    }
    return asked.page("account/account.html", status=status_of(error) if error else 200, **values)
