"""Uses the service through instructor: objects of a class, over OpenAI's client and over Anthropic's."""

import only_here  # noqa: I001 before the libraries

import anthropic
import instructor
import openai
from only_here import Trip, fits, report

openai_client = openai.OpenAI(base_url=only_here.base_url, api_key=only_here.key, max_retries=0)
where = "How warm will it be in Oslo tomorrow?"
asked = {
    "model": only_here.model,
    "max_tokens": 200,
    "max_retries": 0,
    "extra_body": {"temperature": 0},
    "messages": [{"role": "user", "content": where}],
}
found: dict[str, bool] = {}
for mode in (instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(openai_client, mode=mode)
    found[mode.value] = fits(client.create(response_model=Trip, **asked))
held = instructor.from_openai(openai_client, mode=instructor.Mode.JSON_SCHEMA)
*_, last = held.create_partial(response_model=Trip, **asked)
with_answer = held.create_with_completion(response_model=Trip, **asked)

responses = instructor.from_openai(openai_client, mode=instructor.Mode.RESPONSES_TOOLS)
found["responses"] = fits(
    responses.responses.create(
        response_model=Trip,
        model=only_here.model,
        input=where,
        max_output_tokens=200,
        max_retries=0,
    )
)

anthropic_client = anthropic.Anthropic(base_url=only_here.url, api_key=only_here.key, max_retries=0)
messages = instructor.from_anthropic(anthropic_client, mode=instructor.Mode.ANTHROPIC_TOOLS)
found["messages"] = fits(messages.create(response_model=Trip, **asked))

report(found=found, last=fits(last), completion=with_answer[1].choices[0].finish_reason)
