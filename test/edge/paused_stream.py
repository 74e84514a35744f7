"""Reads one stream through OpenAI's Python client and prints its text, and the error that ended it where one did."""

import json
import sys

import openai

base_url, model, most = sys.argv[1:4]
client = openai.OpenAI(base_url=base_url, api_key="sk-any", max_retries=0)
text = ""
error = None
try:
    for chunk in client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hi"}], stream=True, max_tokens=int(most), extra_body={"ignore_eos": True}
    ):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
except openai.APIError as cause:
    error = {"type": type(cause).__name__, "code": cause.code, "message": cause.message}
print(json.dumps({"text": text, "error": error}))
