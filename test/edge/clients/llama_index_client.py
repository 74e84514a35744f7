"""Uses the service through LlamaIndex: its class for servers like OpenAI's, and that for responses."""

import only_here  # noqa: I001 before the libraries
import asyncio
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from only_here import Trip, fits, report

where = "How warm will it be in {city} tomorrow?"


def chat(tokens: int = 12, **options: Any) -> OpenAILike:  # noqa: ANN401 what the class takes
    return OpenAILike(
        model=only_here.model,
        api_base=only_here.base_url,
        api_key=only_here.key,
        temperature=0,
        max_tokens=tokens,
        max_retries=0,
        context_window=8192,
        is_chat_model=True,
        is_function_calling_model=True,
        additional_kwargs={"seed": 1},
        **options,
    )


def weather(city: str, days: int) -> str:
    """Tells the weather of a city."""
    return f"{days} degrees in {city}"


tool = FunctionTool.from_defaults(weather, fn_schema=Trip)
asked = [ChatMessage(role="system", content="You answer in one word."), ChatMessage(role="user", content="Say hello.")]
whole = chat().chat(asked)
parts = [part.delta for part in chat().stream_chat(asked)]
later = asyncio.run(chat().achat(asked))
completed = chat().complete("Say hello.")

prompt = PromptTemplate(where)
longer = chat(120)
by_call = longer.structured_predict(Trip, prompt, city="Oslo", llm_kwargs={"tool_choice": "required"})
by_schema = chat(120, should_use_structured_outputs=True).structured_predict(Trip, prompt, city="Oslo")

user = where.format(city="Oslo")
called = longer.chat_with_tools([tool], user_msg=user, tool_required=True, allow_parallel_tool_calls=False)
calls = longer.get_tool_calls_from_response(called)
streamed = list(longer.stream_chat_with_tools([tool], user_msg=user, tool_required=True))[-1]
streamed_calls = longer.get_tool_calls_from_response(streamed)
used = longer.predict_and_call([tool], user_msg=user, tool_required=True)


def responses(**options: Any) -> OpenAIResponses:  # noqa: ANN401 what the class takes
    return OpenAIResponses(
        model=only_here.model,
        api_base=only_here.base_url,
        api_key=only_here.key,
        temperature=0,
        max_output_tokens=12,
        max_retries=0,
        context_window=8192,
        additional_kwargs={"extra_body": {"seed": 1}},
        **options,
    )


responded = responses().chat(asked)
responded_in_parts = "".join(part.delta or "" for part in responses().stream_chat(asked))
tracked = responses(track_previous_responses=True)
tracked.chat(asked)
followed = tracked.chat([ChatMessage(role="user", content="And again.")])

report(
    whole=whole.message.content,
    streamed="".join(part or "" for part in parts),
    later=later.message.content,
    completed=len(completed.text) > 0,
    by_call=fits(by_call),
    by_schema=fits(by_schema),
    called=[(call.tool_name, fits(call.tool_kwargs)) for call in calls],
    streamed_call=streamed_calls[0].tool_kwargs == calls[0].tool_kwargs,
    used=str(used),
    followed=followed.raw.previous_response_id is not None,
    responded=[responded.message.content, responded_in_parts],
)
