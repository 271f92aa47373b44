"""Methods about the portal itself. Source: api-reference/common/system/*.md, api-reference/common/users/profile.md."""

from b24lake.sandbox import errors
from b24lake.sandbox.methods.registry import METHODS, method
from b24lake.sandbox.params import Params, get
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply

FEATURES = {"rest_offline_extended": "N", "rest_auth_connector": "N"}


@method("profile")
def profile(portal: Portal, _: Params) -> Reply:
    """The webhook's owner; needs no scope."""
    user = portal.tables["users"].row(portal.settings.user_id)
    row = {"ID": user["ID"], "ADMIN": portal.settings.admin, "NAME": user["NAME"], "LAST_NAME": user["LAST_NAME"]}
    return Reply(row | {"PERSONAL_GENDER": user["PERSONAL_GENDER"], "TIME_ZONE": user.get("TIME_ZONE", "")})


@method("scope")
def scope(portal: Portal, params: Params) -> Reply:
    """Granted scopes; with `full` all that exist here."""
    full = str(get(params, "full") or "").lower() in {"1", "true", "y"}
    return Reply(
        sorted({each.scope for each in METHODS.values() if each.scope}) if full else list(portal.settings.scopes)
    )


@method("server.time")
def server_time(portal: Portal, _: Params) -> Reply:
    """The server's clock with its offset."""
    return Reply(portal.world.show(int(portal.now())))


@method("method.get")
def method_get(portal: Portal, params: Params) -> Reply:
    """Whether a method is known here, and whether this webhook may call it. The name must be lower-case."""
    known = METHODS.get(str(get(params, "name") or ""))
    exists = known is not None and known.name.lower() not in portal.settings.missing_methods
    return Reply({"isExisting": exists, "isAvailable": exists and known is not None and portal.granted(known.scope)})


@method("methods")
def methods(portal: Portal, params: Params) -> Reply:
    """Names of methods: those granted, those of one scope, or all with `full`."""
    wanted = get(params, "scope")
    if wanted:
        return Reply([each.name for each in METHODS.values() if each.scope == wanted])
    full = str(get(params, "full") or "").lower() in {"1", "true", "y"}
    return Reply([each.name for each in METHODS.values() if full or portal.granted(each.scope)])


@method("user.admin")
def user_admin(portal: Portal, _: Params) -> Reply:
    """Whether the webhook's owner is an administrator."""
    return Reply(portal.settings.admin)


@method("app.info")
def app_info(_: Portal, __: Params) -> Reply:
    """For applications only: a webhook is refused."""
    raise errors.ApiError(403, "ACCESS_DENIED", "Access denied! Application context required")


@method("feature.get")
def feature_get(_: Portal, params: Params) -> Reply:
    """Whether a feature of the plan is on."""
    code = str(get(params, "code") or "")
    if not code:
        raise errors.plain("CODE can't be empty", "CODE_EMPTY")
    return Reply({"value": FEATURES.get(code, "N")})
