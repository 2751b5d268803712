"""Messages to chat services, through the plugins of one notification library.

Only services in `_PLUGINS` are known: those that speak HTTP and nothing else. The library's own
search for plugins is not used, so that nothing else of it can be reached by an address.
"""

import asyncio
import importlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from muster.adapters.channels.answers import Sent
from muster.adapters.channels.chat_requests import Line, Requests, line_of_thread
from muster.adapters.channels.errors import SendFailed, SendRefused
from muster.kernel import clock
from muster.kernel.egress import Egress

T = TypeVar("T")

_PLUGINS: dict[str, tuple[str, str]] = {
    "discord": ("discord", "NotifyDiscord"),
    "gchat": ("google_chat", "NotifyGoogleChat"),
    "gotify": ("gotify", "NotifyGotify"),
    "gotifys": ("gotify", "NotifyGotify"),
    "mmost": ("mattermost", "NotifyMattermost"),
    "mmosts": ("mattermost", "NotifyMattermost"),
    "ntfy": ("ntfy", "NotifyNtfy"),
    "ntfys": ("ntfy", "NotifyNtfy"),
    "rocket": ("rocketchat", "NotifyRocketChat"),
    "rockets": ("rocketchat", "NotifyRocketChat"),
    "slack": ("slack", "NotifySlack"),
    "tgram": ("telegram", "NotifyTelegram"),
    "webex": ("webexteams", "NotifyWebexTeams"),
    "workflow": ("workflows", "NotifyWorkflows"),
    "workflows": ("workflows", "NotifyWorkflows"),
    "wxteams": ("webexteams", "NotifyWebexTeams"),
    "zulip": ("zulip", "NotifyZulip"),
}
CHAT_SCHEMES = tuple(sorted(_PLUGINS))

# What else the library takes here would read files of this machine, change how certificates are
# judged, wait, or send by another way.
_PARAMETERS = frozenset(
    {
        *(
            "avatar",
            "blocks",
            "botname",
            "channel",
            "channels",
            "footer",
            "icon_url",
            "id",
            "image",
        ),
        *("key", "mode", "pa", "powerautomate", "priority", "route", "routeid", "sig", "silent"),
        *("team", "thread", "timestamp", "to", "token", "topic", "ver", "api-version", "webhook"),
        *("workspace", "wrap", "xtags"),
    }
)
# Their addresses name a host; that of the others is fixed. With an s more they speak https.
_OWN_SERVERS = frozenset({"gotify", "mmost", "ntfy", "rocket"})
# Of their own: services that are slow must not take those threads that others wait for.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="chat")

_CALLS_OUT = re.compile(r"@(?=everyone|here|channel|all\b)|<(?=[!@])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChatTarget:
    """An address of a chat service. It is never shown: it carries tokens."""

    url: str = field(repr=False)

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0].lower()


class ChatSender:
    """Sends messages to chat services."""

    def __init__(self, egress: Egress, now: Callable[[], datetime] = clock.now) -> None:
        self._egress, self._now = egress, now

    async def check(self, target: ChatTarget) -> None:
        """Raise when nothing could be sent to this target; to be used when a user saves it.

        Raises:
            SendRefused: It is no address of a chat service that is known.
            AddressRefused: Its host may not be reached.
        """
        _require_known(target)
        plugin = await _in_thread(_plugin, target)
        plain = target.scheme in _OWN_SERVERS
        if (plain or target.scheme[:-1] in _OWN_SERVERS) and plugin.host and not _in_cloud(plugin):
            port = f":{plugin.port}" if plugin.port else ""
            await self._egress.check(f"{'http' if plain else 'https'}://{plugin.host}{port}/")

    async def send(self, target: ChatTarget, title: str, text: str, *, timeout_s: float) -> Sent:
        """Post a message.

        Raises:
            SendFailed: It may work later.
            SendRefused: It will not.
        """
        _require_known(target)
        line = Line(self._egress, asyncio.get_running_loop(), timeout_s, self._now())
        try:
            async with asyncio.timeout(timeout_s):
                taken = await _in_thread(_post, line, target, _quiet(title), _quiet(text))
        except TimeoutError:
            raise SendFailed("The chat service did not answer in time.", answered=False) from None
        finally:
            line.is_open = False  # the thread may go on; it sends nothing any more
        if taken and line.sent:
            return Sent()
        if line.problems:
            raise line.problems[-1]
        raise SendRefused("The chat service did not take the message; check the address.")


async def _in_thread(work: Callable[..., T], *given: Any) -> T:
    run = partial(copy_context().run, work, *given)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, run)


def _post(line: Line, target: ChatTarget, title: str, text: str) -> bool:
    plugin = _plugin(target)
    line_of_thread.set(line)  # of this call alone: the thread runs in a copy of the context
    with suppress(Exception):  # whatever a plugin stumbles over, `line` knows how far it came
        return bool(plugin.notify(body=text, title=title))
    return False


def _require_known(target: ChatTarget) -> None:
    if target.scheme not in _PLUGINS:
        raise SendRefused(
            "This is no address of a chat service that Muster knows. It begins with one of: "
            + ", ".join(f"{scheme}://" for scheme in CHAT_SCHEMES)
            + "."
        )
    try:
        query = parse_qsl(urlsplit(target.url).query, keep_blank_values=True)
    except ValueError:
        query = [("", "")]
    # A sign before a name is the library's way to send headers and other things along.
    if unknown := sorted({name for name, _ in query if name.lower() not in _PARAMETERS}):
        raise SendRefused(
            f"The address has parameters that are not taken: {', '.join(unknown)[:200]}."
        )


def _plugin(target: ChatTarget) -> Any:
    """Return the library's object for a target; runs in a thread, since it loads code."""
    module, class_name = _PLUGINS[target.scheme]
    kind = getattr(_module(module), class_name)
    found: Any = None
    with suppress(Exception):  # of whatever kind: it was made from the text of a user
        if parts := kind.parse_url(target.url):
            found = kind(**{**parts, "asset": _asset()})
    if found is None:
        raise SendRefused(
            f"The address of the chat service is not complete; see how {target.scheme}:// "
            "addresses are written."
        )
    return found


@cache
def _module(name: str) -> Any:
    """Return a plugin's module, with the guarded client in it and nothing that passes it by."""
    # The library writes addresses and answers into its log, and both may hold secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    module: Any = importlib.import_module(f"apprise.plugins.{name}")
    module.requests = Requests(module.requests)
    return module


@cache
def _asset() -> Any:
    library: Any = importlib.import_module("apprise")
    return library.AppriseAsset(
        app_id="Muster",
        app_desc="Muster",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        storage_mode="memory",
    )


def _in_cloud(plugin: Any) -> bool:
    return getattr(plugin, "mode", None) == "cloud"


def _quiet(text: str) -> str:
    """Keep text of agents and policies from calling everybody in a channel."""
    return _CALLS_OUT.sub(lambda found: found.group() + "\u200b", text)
