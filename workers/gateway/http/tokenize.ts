/** `POST /tokenize` and `POST /detokenize`, in vLLM's shapes. */
import { availableDescription } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { renderChat } from "../../models/render-chat.ts";
import { servedModel } from "../../models/served-model.ts";
import { isAbsent, parseBody } from "../schema/parse.ts";
import { detokenizeBody, tokenizeBody } from "../schema/tokenize.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { toldFunctions } from "../prompt/told-functions.ts";
import { encodePrompt, requireVocabulary } from "../prompt/encode-prompt.ts";
import { tokenLabel } from "../stream/token-label.ts";
import { readJson } from "./read-json.ts";

export async function tokenize(c: GatewayContext): Promise<Response> {
  const body = parseBody(tokenizeBody, await readJson(c.req.raw));
  const model = await servedModel(c.env, (await modelMeant(c, body.model)).entry);
  const tokens = isAbsent(body.messages)
    ? encodePrompt(model, body.prompt ?? "", body.add_special_tokens ?? true)
    : renderChat(model, body.messages, {
        addGenerationPrompt: body.add_generation_prompt ?? true,
        ...toldFunctions({ functions: body.tools }),
      });
  const description = await availableDescription(c.env, model.card);
  return c.json({
    tokens: Array.from(tokens),
    count: tokens.length,
    token_strs: body.return_token_strs === true ? Array.from(tokens, (id) => tokenLabel(model.tokenizer, id).text) : null,
    max_model_len: description?.contextLength ?? model.card.contextLength,
  });
}

export async function detokenize(c: GatewayContext): Promise<Response> {
  const body = parseBody(detokenizeBody, await readJson(c.req.raw));
  const model = await servedModel(c.env, (await modelMeant(c, body.model)).entry);
  requireVocabulary(model, body.tokens, "tokens");
  return c.json({ prompt: model.tokenizer.decode(body.tokens) });
}
