"""Guard every remote call: what is asked of a model stays on this machine unless the user allows otherwise.

    local_only   the default: only servers on this machine (127.0.0.0/8, ::1, or localhost when it resolves to
                 those), and those the user has allowed
    deid         other machines too, but only content that has passed de-identification (`outgoing`)
    off          any server; in YAML write "off" in quotes, because a bare off means false

A recipe cannot open the guard by itself. The command line allows the hosts of --allow-host NAME and no
others, whatever the mode; it passes them to its processes in MEDXIAOHE_HOSTS:

    MEDXIAOHE_HOSTS not set      a Python program runs, and the mode alone decides
    MEDXIAOHE_HOSTS=a.b,c:8000   only these hosts, in mode `deid` only with de-identified content

An address is parsed here, once, and the caller connects to the Destination that is returned, never to the
original text: such guards are bypassed where two parsers disagree about a host. An odd address is refused in
every mode.

A download (a hub id, a package file) is not a remote call in this sense: only a public name is sent. `egress`
checks those.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from medxiaohe.errors import ConfigError, PrivacyError

Mode = Literal["local_only", "deid", "off"]
MODES: tuple[str, ...] = ("local_only", "deid", "off")
HOSTS = "MEDXIAOHE_HOSTS"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
# a host name or IPv4 address, or an IPv6 address in brackets, and maybe a port: `[::1].evil` is two hosts
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]{1,5})?")
# browsers and C libraries read such a host as an IPv4 address
ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
PUBLIC_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?(==[A-Za-z0-9.]{1,30})?"
)
PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Privacy:
    """Settings of a stage that may call a remote model."""

    mode: Mode = "local_only"


@dataclass(frozen=True)
class Destination:
    """Where a request goes.

    Attributes:
        scheme: http or https.
        host: host name or IP address, without brackets.
        port: TCP port.
        path: without a slash at its end.
        addresses: IP addresses to connect to, in order; () where the host name decides.
    """

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def local(self) -> bool:
        """Whether all addresses are this machine.

        Returns:
            False without addresses.
        """
        return bool(self.addresses) and all(map(is_loopback, self.addresses))

    @property
    def authority(self) -> str:
        """Host and port as a URL writes them.

        Returns:
            The host, with brackets around an IPv6 address, and the port unless it is that of the scheme.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def system_resolver(host: str) -> list[str]:
    """Resolve a host name by the system.

    Returns:
        Its IP addresses, each once; [] where it has none.
    """
    try:
        return list(
            dict.fromkeys(str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        )
    except OSError:
        return []


def check(
    url: str, mode: str | bool, deidentified: bool, subject: str, resolve: Resolver = system_resolver
) -> Destination:
    """Check whether data may be sent to a server.

    Names other than localhost are never resolved: they are other machines whatever they resolve to, private
    networks and /etc/hosts included.

    Args:
        url: address of the server.
        mode: `local_only`, `deid` or `off`.
        deidentified: whether the data have passed de-identification.
        subject: name of the data, for the message.
        resolve: resolver of localhost.

    Returns:
        The destination to connect to.

    Raises:
        ConfigError: there is no such mode.
        PrivacyError: the mode or the list of allowed hosts forbids it, or the address is odd.
    """
    if mode not in MODES:
        hint = ': in YAML write "off" in quotes' if mode is False else ""
        raise ConfigError(f"privacy.mode must be one of {', '.join(MODES)}, not {mode!r}{hint}")
    server = destination(url, resolve)
    named = os.environ.get(HOSTS)
    let_in = let_in_by_user(server)
    if server.local:
        return server
    if named is not None and not let_in:
        raise PrivacyError(
            f"{subject} would leave this machine for {server.authority}: use a server on this machine"
            f" (http://127.0.0.1:PORT/v1), or add --allow-host {server.authority} if it may be seen there"
        )
    if mode == "deid" and not deidentified:
        raise PrivacyError(
            f"{subject} would go to {server.authority} without having passed de-identification, and"
            " privacy.mode is deid:"
            f' use a server on this machine, or set privacy.mode to "off" if {server.authority} may see it'
        )
    if mode != "local_only" or let_in:
        return server
    raise PrivacyError(
        f"{subject} would leave this machine for {server.authority}, and privacy.mode is local_only:"
        " use a server on this machine (http://127.0.0.1:PORT/v1), or, if"
        f' {server.authority} may see it, add --allow-host {server.authority} or set privacy.mode to "off"'
    )


def restrict(hosts: Iterable[str]) -> None:
    """Allow these hosts and those of MEDXIAOHE_HOSTS, and no others, in this process and those it starts.

    Args:
        hosts: names or addresses, each maybe with a port, such as 10.0.0.7:8000.

    Raises:
        PrivacyError: a name is not a host.
    """
    names = [name for name in os.environ.get(HOSTS, "").split(",") if name]
    for host in hosts:
        server = destination(f"http://{host}")
        if server.path or "/" in host:
            raise _refused(host, "--allow-host takes a host and maybe a port, such as 10.0.0.7:8000")
        names.append(server.authority)
    os.environ[HOSTS] = ",".join(dict.fromkeys(names))


def let_in_by_user(server: Destination) -> bool:
    """Check whether the user has allowed a host.

    Returns:
        True if MEDXIAOHE_HOSTS names it, without a port or with this one.
    """
    host = f"[{server.host}]" if ":" in server.host else server.host
    names = os.environ.get(HOSTS, "").lower().split(",")
    return bool({host, f"{host}:{server.port}"} & set(names))


def destination(url: str, resolve: Resolver = system_resolver) -> Destination:
    """Parse an http(s) address strictly.

    Args:
        url: such as http://127.0.0.1:8000/v1.
        resolve: resolver of localhost; no other name is resolved.

    Returns:
        Its parts.

    Raises:
        PrivacyError: two programs could read the address differently, or localhost is not this machine.
    """
    if odd := next((c for c in url if not "!" <= c <= "~" or c == "\\"), None):
        raise _refused(url, f"{odd!a} has no place in it")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise _refused(url, str(error)) from error
    if parts.scheme not in PORTS:
        raise _refused(url, "it must start with http:// or https://")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise _refused(url, "user names, passwords and % before the path hide where it goes")
    if "?" in url or "#" in url:
        raise _refused(url, "it must end with its path, without ? or #")
    if not host or parts.netloc.endswith(":") or port == 0:
        raise _refused(url, "it must have a host, and a port above 0 after a colon")
    if not AUTHORITY.fullmatch(parts.netloc):
        raise _refused(url, "it must have one host, and nothing between that and its port")
    address = _ip(host, bracketed=parts.netloc.startswith("["))
    if address is None and (
        ENDS_IN_NUMBER.fullmatch(host) or not HOST_NAME.fullmatch(host) or len(host) > 253
    ):
        raise _refused(url, f"{host!a} is neither a plain host name nor an address like 127.0.0.1 or [::1]")
    addresses = (address,) if address else tuple(resolve(host)) if host == "localhost" else ()
    if host == "localhost" and not (addresses and all(map(is_loopback, addresses))):
        raise _refused(url, "localhost does not resolve to this machine here: write 127.0.0.1")
    return Destination(parts.scheme, host, port or PORTS[parts.scheme], parts.path.rstrip("/"), addresses)


def egress(name: str) -> None:
    """Check the name of public files before they are fetched: a hub id such as ORG/NAME, or PACKAGE==VERSION
    of a package index.

    Downloads are allowed in every mode, because the name is all that is sent. The telemetry of Hugging Face
    libraries is off (medxiaohe/__init__.py).

    Raises:
        PrivacyError: the name is something else: a path, a sentence, a URL.
    """
    if not PUBLIC_NAME.fullmatch(name) or ".." in name:
        raise PrivacyError(
            f"{_shown(name)} is not the name of public files, so it is not sent to a hub: write ORG/NAME"
        )


def is_loopback(address: str) -> bool:
    """Check whether an IP address is this machine: 127.0.0.0/8 or ::1.

    Returns:
        False for any other text, and for an IPv4 address inside an IPv6 one.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in LOOPBACK)


def _ip(host: str, bracketed: bool) -> str | None:
    try:
        return str(ipaddress.IPv6Address(host) if bracketed else ipaddress.IPv4Address(host))
    except ValueError:
        return None


def _refused(url: str, why: str) -> PrivacyError:
    return PrivacyError(f"the server address {_shown(url)} is refused: {why}")


def _shown(text: str) -> str:
    """Shorten a text for a message: ASCII, and not shown when it may hold a password."""
    return "(not shown: it may hold a password)" if "@" in text else ascii(text[:100])
