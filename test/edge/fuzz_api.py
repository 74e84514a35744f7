"""Sends what the API's own document allows, and what it does not, to every route.

`fuzz_api.py URL` ends with status 0 where all answers are as it says. `fuzz_api.py URL control` asks the same of a document that lies
and of a route that breaks, and ends with status 0 where all of that is found.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

KEY = "sk-fuzzer"
Document = dict[str, Any]


def ask(method: str, url: str, body: object = None) -> Any:  # noqa: ANN401 what JSON holds
    media, data = ("text/plain", body.encode()) if isinstance(body, str) else ("application/json", json.dumps(body).encode())
    headers = {"authorization": f"Bearer {KEY}", "content-type": media}
    request = urllib.request.Request(url, method=method, headers=headers, data=None if body is None else data)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def narrowed(document: Document, url: str) -> Document:
    """With a model that exists, few tokens, and ids of what is there, so that more than refusals is seen."""
    for name, shape in document["components"]["schemas"].items():
        fields = shape.get("properties", {})
        if not (name.endswith("Request") or name.startswith("New")):
            continue
        if "model" in fields:
            fields["model"] = {"enum": ["tiny"]}
        for limit in {"max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens"} & fields.keys():
            fields[limit] = {"type": "integer", "minimum": 1, "maximum": 4}
        for ids in {"stop_token_ids", "allowed_token_ids"} & fields.keys():
            fields[ids] = {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "integer", "minimum": 0, "maximum": 200}}
        fields.pop("fallback", None)
    made = {
        "sessions": ask("POST", f"{url}/v1/sessions", {"model": "tiny"})["id"],
        # With its text: events of a context that waits for one do not end.
        "contexts": ask("POST", f"{url}/v1/contexts?model=tiny", "hello")["id"],
        "conversations": ask("POST", f"{url}/v1/conversations", {})["id"],
        "responses": ask("POST", f"{url}/v1/responses", {"model": "tiny", "input": "hi", "max_output_tokens": 4})["id"],
    }
    made["shares"] = ask("POST", f"{url}/v1/sessions/{made['sessions']}/share", {})["id"]
    for path, methods in document["paths"].items():
        kind = path.removeprefix("/v1/").split("/")[0]
        for method, operation in methods.items():
            for parameter in operation["parameters"]:
                # What is deleted would be missed by all others.
                if parameter["name"] == "id" and kind in made and method != "delete":
                    parameter["schema"] = {"enum": [made[kind]]}
    return document


def run(document: Document, url: str, examples: int, *paths: str) -> subprocess.CompletedProcess[str]:
    checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    ]
    refusals = ", ".join(str(status) for status in (400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "schemathesis.toml").write_text(f"[checks.negative_data_rejection]\nexpected-statuses = [{refusals}]\n")
        file = Path(folder) / "openapi.json"
        file.write_text(json.dumps(document))
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            str(file),
            "--url",
            url,
            "--header",
            f"Authorization: Bearer {KEY}",
        ]
        command += ["--phases", "fuzzing", "--max-examples", str(examples), "--seed", "16", "--generation-deterministic", "--no-shrink"]
        command += ["--checks", ",".join(checks), "--request-timeout", "30", "--no-color"]
        # Python 3.11.7 counts how deep syntax trees are once for all threads (https://github.com/python/cpython/issues/106905).
        command += ["--workers", "1"]
        for path in paths:
            command += ["--include-path", path]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def control(document: Document, url: str) -> list[str]:
    """What of three faults was not found: an answer of another shape, a body that is taken and should not be, a server that breaks."""
    document["components"]["schemas"]["Health"]["properties"]["status"] = {"const": "another"}
    answers = {"parameters": [], "responses": {"default": {"description": "any"}}}
    taken = {"content": {"application/json": {"schema": {"type": "object", "maxProperties": 0}}}}
    breaks = {"content": {"text/plain": {"schema": {"type": "string", "const": "no JSON"}}}}
    document["paths"] |= {
        "/scripted/lose": {"post": {**answers, "requestBody": taken}},
        "/scripted/use": {"post": {**answers, "requestBody": breaks}},
    }
    told = run(document, url, 5, "/health", "/scripted/lose", "/scripted/use").stdout
    missed = [
        fault
        for fault in ("ST108 Response violates schema", "ST201 Schema-violating request accepted", "Server error")
        if fault not in told
    ]
    return [*missed, told] if missed else []


def main(url: str, mode: str = "") -> int:
    document = narrowed(ask("GET", f"{url}/openapi.json"), url)
    if mode == "control":
        missed = control(document, url)
        print("\n".join(missed), file=sys.stderr)
        return 1 if missed else 0
    result = run(document, url, 6)
    print(result.stdout, result.stderr, file=sys.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
