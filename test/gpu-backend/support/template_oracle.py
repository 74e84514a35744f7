"""What transformers makes of the templates in `test/fixtures/templates`; as a program it writes `expected.json` beside them.

The TypeScript renderer is compared with that file, and a test here with what transformers makes today.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import _compile_jinja_template

FOLDER = Path(__file__).parents[2] / "fixtures" / "templates"
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC).replace(tzinfo=None)


def rendered(source: str, variables: dict[str, Any]) -> str | None:
    """The text; None where Jinja2 or Python refuses."""
    try:
        template = _compile_jinja_template(source)
        template.globals["strftime_now"] = NOW.strftime
        return str(template.render(**variables))
    except (TemplateError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
        return None


def expected() -> dict[str, Any]:
    """By template and conversation, and by expression."""
    table = json.loads((FOLDER / "expressions.json").read_text(encoding="utf-8"))
    conversations = json.loads((FOLDER / "conversations.json").read_text(encoding="utf-8"))
    # Files as they are: some of them have CRLF.
    sources = {path.stem: path.read_bytes().decode() for path in sorted(FOLDER.glob("*.jinja"))}
    return {
        "templates": {
            name: {key: rendered(source, variables) for key, variables in conversations.items()} for name, source in sources.items()
        },
        "expressions": [rendered(source, table["variables"]) for source in table["cases"]],
    }


if __name__ == "__main__":
    (FOLDER / "expected.json").write_text(json.dumps(expected(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
