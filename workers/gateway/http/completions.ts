/** `POST /v1/completions`. */
import type { GatewayContext } from "../environment.ts";
import type { JobOptions, RenderedPrompt } from "../plan/jobs.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { answerGeneration, type GenerationEndpoint } from "../pipeline.ts";
import { completionBody, type CompletionBody, type Prompt } from "../schema/completion.ts";
import { isAbsent } from "../schema/parse.ts";
import { encodePrompt, requireVocabulary } from "../prompt/encode-prompt.ts";

/** OpenAI's default for this endpoint. */
const defaultMaxTokens = 16;

function renderPrompt(prompt: Prompt, echo: boolean, model: ServedModel): RenderedPrompt {
  if ("text" in prompt) return { tokens: encodePrompt(model, prompt.text), echo: echo ? prompt.text : null };
  requireVocabulary(model, prompt.tokens, "prompt");
  return { tokens: Uint32Array.from(prompt.tokens), echo: echo ? model.tokenizer.decode(prompt.tokens) : null };
}

/** With as many alternatives as the more demanding of the two fields asks for. */
function scores({ echo, logprobs, prompt_logprobs: asked }: CompletionBody): Pick<JobOptions, "promptLogprobs" | "scoresField"> {
  const echoed = echo === true ? (logprobs ?? null) : null;
  if (isAbsent(asked)) return { promptLogprobs: echoed, scoresField: "logprobs" };
  return { promptLogprobs: Math.max(asked, echoed ?? 0), scoresField: "prompt_logprobs" };
}

const endpoint: GenerationEndpoint<CompletionBody> = {
  name: "completion",
  idPrefix: "cmpl-",
  schema: completionBody,
  render: (body, model) => ({
    promptField: "prompt",
    prompts: body.prompt.map((prompt) => renderPrompt(prompt, body.echo === true, model)),
    maxTokens: body.max_tokens ?? null,
    defaultMaxTokens: defaultMaxTokens,
    topLogprobs: body.logprobs ?? null,
    ...scores(body),
  }),
};

export const completions = (c: GatewayContext) => answerGeneration(c, endpoint);
