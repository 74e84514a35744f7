"""Uses the service through LangChain's models of OpenAI's API."""

import only_here  # noqa: I001 before the libraries
import asyncio
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from only_here import Trip, fits, report
from pydantic import SecretStr


def chat(**options: Any) -> ChatOpenAI:  # noqa: ANN401 what the class takes
    settings: dict[str, Any] = {"temperature": 0, "max_completion_tokens": 12, "seed": 1, "max_retries": 0}
    return ChatOpenAI(model=only_here.model, base_url=only_here.base_url, api_key=SecretStr(only_here.key), **(settings | options))


@tool(args_schema=Trip)
def weather(city: str, days: int) -> str:
    """Tells the weather of a city."""
    return f"{days} degrees in {city}"


asked = [("system", "You answer in one word."), ("human", "Say hello.")]
whole = chat().invoke(asked)
chunks = list(chat(stream_usage=True).stream(asked))
usage = next(chunk.usage_metadata for chunk in chunks if chunk.usage_metadata)
later = asyncio.run(chat().abatch([asked, asked]))

longer = chat(max_completion_tokens=120)
where = "How warm will it be in Oslo tomorrow?"
parsed = {method: fits(longer.with_structured_output(Trip, method=method).invoke(where)) for method in ("json_schema", "function_calling")}
both = longer.with_structured_output(Trip, include_raw=True, strict=True).invoke(where)
partly = list(longer.with_structured_output(Trip).stream(where))

bound = longer.bind_tools([weather], tool_choice="weather", strict=True, parallel_tool_calls=False)
question = HumanMessage(where)
called = bound.invoke([question])
added = None
for chunk in bound.stream([question]):
    added = chunk if added is None else added + chunk
given: ToolMessage = weather.invoke(called.tool_calls[0])
answered = chat().bind_tools([weather], tool_choice="none").invoke([question, called, given])

responses = chat(use_responses_api=True, seed=None, output_version="responses/v1", model_kwargs={"extra_body": {"seed": 1}})
responded = responses.invoke(asked)
responded_in_parts = "".join(chunk.text for chunk in responses.stream(asked))
followed = responses.invoke([("human", "And again.")], previous_response_id=responded.response_metadata["id"])
chosen = responses.model_copy(update={"max_tokens": 120}).bind_tools([weather], tool_choice="weather", strict=True).invoke([question])
held = responses.model_copy(update={"max_tokens": 120}).with_structured_output(Trip).invoke(where)

report(
    whole=whole.text,
    streamed="".join(chunk.text for chunk in chunks),
    later=[one.text for one in later],
    usage=[usage["output_tokens"], whole.usage_metadata["output_tokens"] if whole.usage_metadata else None],
    parsed=parsed,
    both=[fits(both["parsed"]), both["parsing_error"]],
    partly=fits(partly[-1]),
    called=[(call["name"], fits(call["args"])) for call in called.tool_calls],
    streamed_call=[call["args"] for call in (added.tool_calls if added else [])] == [call["args"] for call in called.tool_calls],
    finish=called.response_metadata["finish_reason"],
    given=given.text,
    answered=len(answered.text) > 0,
    responded=[responded.text, responded_in_parts],
    followed=len(followed.text) > 0,
    chosen=[(call["name"], fits(call["args"])) for call in chosen.tool_calls],
    held=fits(held),
)
