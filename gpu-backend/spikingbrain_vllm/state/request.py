"""What a request says of states, in `kv_transfer_params`: `{"spikingbrain": {"tenant": …, "import": HANDLE, "export": HANDLE}}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIELD = "spikingbrain"
TENANT = re.compile(r"[A-Za-z0-9_.-]{1,128}")
HANDLE = re.compile(r"[A-Za-z0-9_-]{43}")
_PATTERNS = {"tenant": TENANT, "import": HANDLE, "export": HANDLE}


def check_object(extra_args: Mapping[str, Any] | None) -> None:
    """vLLM's front end asks `kv_transfer_params` for fields of its own, whatever it is. Raises ValueError where it is no object."""
    parameters = (extra_args or {}).get("kv_transfer_params")
    if parameters and not isinstance(parameters, Mapping):
        raise ValueError("kv_transfer_params must be an object")


@dataclass(frozen=True)
class StateParameters:
    tenant: str
    import_handle: str | None = None
    """Of the state that the request starts from."""
    export_handle: str | None = None
    """Where its own state goes when it ends, and before that whenever it is asked for."""

    @staticmethod
    def of(parameters: Mapping[str, Any] | None) -> "StateParameters | None":
        """None where the request says nothing of states. Raises ValueError that names field and rule."""
        if parameters is None:
            return None
        if not isinstance(parameters, Mapping):
            raise ValueError("kv_transfer_params must be an object")
        values = parameters.get(FIELD)
        if values is None:
            return None
        if not isinstance(values, Mapping):
            raise ValueError(f"kv_transfer_params.{FIELD} must be an object")
        if unknown := sorted(map(str, set(values) - set(_PATTERNS))):
            raise ValueError(f"kv_transfer_params.{FIELD} must have no field but {', '.join(_PATTERNS)}; it has {unknown[0]!r}")
        for name, pattern in _PATTERNS.items():
            value = values.get(name)
            if value is None and name != "tenant":
                continue
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise ValueError(f"kv_transfer_params.{FIELD}.{name} must match {pattern.pattern}")
        return StateParameters(values["tenant"], values.get("import"), values.get("export"))
