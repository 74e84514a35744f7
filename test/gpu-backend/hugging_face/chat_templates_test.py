"""The texts that the TypeScript renderer is compared with are what transformers makes of the templates today."""

import json

from support.template_oracle import FOLDER, expected


def test_the_expected_texts_are_those_of_transformers() -> None:
    assert json.loads((FOLDER / "expected.json").read_text(encoding="utf-8")) == expected()
