/** A model of which nothing is said beyond what must be. */
import type { ModelDescription } from "../../../workers/contracts/engine.ts";

export const smallestDescription: ModelDescription = {
  id: "m",
  digest: "",
  tokenizerDigest: "",
  architecture: "a",
  parameters: 0,
  vocabularySize: 1,
  contextLength: 1,
  abilities: [],
  kernel: "k",
};
