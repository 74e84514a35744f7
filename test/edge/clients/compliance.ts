/** What `open_responses.py` finds of a server that passes the compliance test of Open Responses. */
const item = (...kinds: string[]) => [
  "response.output_item.added",
  ...kinds.map((kind) => `response.${kind}`),
  "response.output_item.done",
];
const around = (made: string, kinds: string[]) => ({
  ...{ final: ["completed", made], items: [made, made] },
  kinds: ["response.created", "response.in_progress", ...kinds, "response.completed"],
  ...{ numbered: true, deltas: true },
});

export const compliant = {
  basic_response: ["completed", "message"],
  streaming_response: around("message", item("content_part.added", "output_text.delta", "output_text.done", "content_part.done")),
  system_prompt: ["completed", "message"],
  tool_calling: ["completed", "function_call"],
  tool_calling_streaming: around("function_call", item("function_call_arguments.delta", "function_call_arguments.done")),
  multi_turn: ["completed", "message"],
  image_input: [400, "input[0].content[1].type"],
};
