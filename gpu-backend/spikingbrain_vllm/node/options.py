"""What `serve` is told of the edge, checked before anything is loaded."""

import argparse
import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from spikingbrain_vllm.node.credential import NodeCredential

LOOPBACK = ("127.0.0.1", "::1")
MOST_WEIGHT = 100.0
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_PLACE = re.compile(r"[\w.-]{1,64}", re.ASCII)
ONLY_WITH_AN_EDGE = ("node_file", "address", "name", "place", "weight")


@dataclass(frozen=True)
class NodeOptions:
    edge: str
    """Its URL without a slash at its end."""
    credential: NodeCredential
    name: str
    """The replica's, unique in the pool; clients are told it."""
    address: str
    """At which the edge reaches this replica, without a slash at its end."""
    place: str | None
    weight: float

    @staticmethod
    def of(arguments: argparse.Namespace) -> "NodeOptions | None":
        """None where there is no edge. Raises ValueError that names option, rule and value."""
        if arguments.edge is None:
            for name in ONLY_WITH_AN_EDGE:
                if getattr(arguments, name) is not None:
                    raise ValueError(f"--{name.replace('_', '-')} has a meaning only with --edge, which is not given")
            return None
        if arguments.node_file is None:
            raise ValueError("--node-file must be given with --edge: a replica signs what it says")
        credential = NodeCredential.read(arguments.node_file)
        return NodeOptions(
            edge=_url("--edge", arguments.edge),
            credential=credential,
            name=_name(arguments, credential.node),
            address=_address(arguments),
            place=arguments.place,
            weight=1.0 if arguments.weight is None else arguments.weight,
        )


def add(parser: argparse.ArgumentParser) -> None:
    edge = parser.add_argument_group("an edge", "to which the replica makes itself known, so that it gets work from there")
    edge.add_argument("--edge", metavar="URL", help="the edge's address, https://… (http:// on this machine only)")
    edge.add_argument("--node-file", type=Path, metavar="FILE", help="this node's credential: NAME:BASE64 of 32 bytes")
    edge.add_argument(
        "--address",
        metavar="URL",
        help="at which the edge reaches this replica (http://HOST:PORT on this machine or in a private network)",
    )
    edge.add_argument("--name", metavar="NAME", help="the replica's name, unique in the pool (made of the node, the host and the port)")
    edge.add_argument("--place", type=place, metavar="PLACE", help="where it runs, as data centres are named to Workers")
    edge.add_argument("--weight", type=weight, metavar="N", help="share of new work beside others of the model: 0.05 is a canary (1)")


def place(text: str) -> str:
    if not _PLACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be 1 to 64 letters, digits or the characters . _ -; it is {text!r}")
    return text


def weight(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MOST_WEIGHT:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MOST_WEIGHT:g}; it is {text!r}")
    return number


def _name(arguments: argparse.Namespace, node: str) -> str:
    if arguments.name is None:
        # The same after a restart, and no name of a machine, since clients are told it.
        place_of_it = f"{socket.gethostname()}:{arguments.port}"
        return f"{node[:55]}-{hashlib.sha256(place_of_it.encode()).hexdigest()[:8]}"
    if not _NAME.fullmatch(arguments.name) or arguments.name == "engine":
        rule = "1 to 64 letters, digits or the characters . _ -, the first one a letter or digit, and not 'engine'"
        raise ValueError(f"--name must be {rule}; it is {arguments.name!r}")
    return str(arguments.name)


def _address(arguments: argparse.Namespace) -> str:
    if arguments.address is not None:
        # The edge knows whether it reaches replicas through a private network, and refuses plain HTTP otherwise.
        return _url("--address", arguments.address, in_private_network=True)
    if arguments.host not in LOOPBACK:
        raise ValueError(f"--address must be given where --host is not loopback; --host is {arguments.host!r}")
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    return f"http://{host}:{arguments.port}"


def _url(option: str, text: str, *, in_private_network: bool = False) -> str:
    named = ", or a host's name in a private network of the edge's" if in_private_network else ""
    rule = f"{option} must be https:// and a host (http:// and a port for 127.0.0.1 or [::1]{named}), without a path"
    try:
        url = urlsplit(text)
        is_right = _is_right(url, in_private_network=in_private_network)
    except ValueError:
        is_right = False
    if not is_right:
        # One with a password is not shown.
        raise ValueError(rule if "@" in text else f"{rule}; it is {text!r}")
    return text.rstrip("/")


def _is_right(url: SplitResult, *, in_private_network: bool) -> bool:
    # An address in place of a name ends in a digit, or has colons.
    is_name = url.hostname is not None and url.hostname[-1:].isalpha() and ":" not in url.hostname
    scheme = ("http", "https") if url.hostname in LOOPBACK or (in_private_network and is_name) else ("https",)
    # A port that is none raises ValueError.
    has_port = url.port is None or url.port > 0
    return (
        url.scheme in scheme
        and bool(url.hostname)
        and has_port
        and "@" not in url.netloc
        and (url.path, url.query, url.fragment)
        in (
            ("", "", ""),
            ("/", "", ""),
        )
    )
