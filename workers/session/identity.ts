/** What a state of the served model means something to. */
import type { ModelManifest } from "../contracts/model-files.ts";
import type { ModelIdentity } from "./snapshots/contract.ts";

export function identityOf({ sha256, tokenizerSha256 }: Pick<ModelManifest, "sha256" | "tokenizerSha256">): ModelIdentity {
  return { model: sha256, tokenizer: tokenizerSha256 };
}
