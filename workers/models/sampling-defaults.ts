/** How tokens are chosen where a request leaves a field out: the model's own values, and OpenAI's where it has none. */
import type { ModelCard, SamplingDefaults } from "../contracts/model-files.ts";

type Complete = { readonly [Field in keyof SamplingDefaults]-?: number };

/** OpenAI's temperature; everything else is off. */
const openaiDefaults: Complete = { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 };

export function samplingDefaults({ defaults }: Pick<ModelCard, "defaults">): Complete {
  return { ...openaiDefaults, ...defaults };
}
