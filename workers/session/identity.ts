/** What a state of a model means something to. */
import type { ModelVersion } from "../contracts/model-version.ts";
import type { ModelIdentity } from "./snapshots/contract.ts";

export function identityOf({ digest, tokenizerDigest }: Pick<ModelVersion, "digest" | "tokenizerDigest">): ModelIdentity {
  return { model: digest, tokenizer: tokenizerDigest };
}
