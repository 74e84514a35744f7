"""Objects without a schema in the request: LangChain's `json_mode` and instructor's modes of that kind.

The model writes what its test says.
"""

import only_here  # noqa: I001 before the libraries
from typing import Any

import anthropic
import instructor
import openai
from langchain_openai import ChatOpenAI
from only_here import Trip, fits, report
from pydantic import SecretStr

where = "Answer with a trip as JSON."


def chat(**options: Any) -> ChatOpenAI:  # noqa: ANN401 what the class takes
    return ChatOpenAI(model=only_here.model, base_url=only_here.base_url, api_key=SecretStr(only_here.key), max_retries=0, **options)


found: dict[str, object] = {}
for name, model in {"chats": chat(), "responses": chat(use_responses_api=True)}.items():
    structured = model.with_structured_output(Trip, method="json_mode", include_raw=True)
    whole = structured.invoke(where)
    *_, last = model.with_structured_output(Trip, method="json_mode").stream(where)
    found[name] = [whole["raw"].text, fits(whole["parsed"]), whole["parsing_error"], fits(last)]

client = openai.OpenAI(base_url=only_here.base_url, api_key=only_here.key, max_retries=0)
asked: dict[str, Any] = {"model": only_here.model, "max_tokens": 100, "max_retries": 0, "messages": [{"role": "user", "content": where}]}
loose = instructor.from_openai(client, mode=instructor.Mode.JSON)
*_, partly = loose.create_partial(response_model=Trip, **asked)
told = instructor.from_anthropic(
    anthropic.Anthropic(base_url=only_here.url, api_key=only_here.key, max_retries=0),
    mode=instructor.Mode.ANTHROPIC_JSON,
)

report(
    **found,
    json=fits(loose.create(response_model=Trip, **asked)),
    partly=fits(partly),
    messages=fits(told.create(response_model=Trip, **asked)),
)
