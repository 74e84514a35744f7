/** Which version of a model new work begins with, of those that backends have: one id may name several weights while replicas are replaced. */
import type { ModelVersion } from "../contracts/model-version.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { ModelDescription } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelCard } from "../contracts/model-files.ts";
import { modelUnavailable, noBackend, otherVersion } from "./failures.ts";

/** Whom to ask: of several versions of a model, that which more weight of replicas serves comes first. */
export interface ModelSource {
  models(): Promise<Outcome<readonly ModelDescription[]>>;
}

/** Where this deployment has the weights theirs is the version; else the first whose tokens are this deployment's. */
export function newest(card: ModelCard, descriptions: readonly ModelDescription[]): ModelDescription | undefined {
  return descriptions.find(
    ({ id, digest, tokenizerDigest }) =>
      id === card.id && tokenizerDigest === card.tokenizerSha256 && (card.sha256 === null || card.sha256 === digest),
  );
}

export const versionOf = ({ id, digest, tokenizerDigest }: ModelVersion): ModelVersion => ({ id, digest, tokenizerDigest });

/** The same weights, read by the same tokens. */
export function same(description: ModelVersion, { id, digest, tokenizerDigest }: ModelVersion): boolean {
  return description.id === id && description.digest === digest && description.tokenizerDigest === tokenizerDigest;
}

/** Words for people, that go on after "now:". */
export function whyUnavailable(card: ModelCard, descriptions: readonly ModelDescription[]): string {
  const others = descriptions.filter(({ id }) => id === card.id);
  const [first] = others;
  if (first === undefined) return noBackend;
  const { tokenizerSha256, sha256 } = card;
  const isRead = others.some(({ tokenizerDigest }) => tokenizerDigest === tokenizerSha256);
  if (isRead && sha256 !== null) return otherVersion("weights", sha256, digests(others.map(({ digest }) => digest)));
  return otherVersion("tokenizer", tokenizerSha256, digests(others.map(({ tokenizerDigest }) => tokenizerDigest)));
}

const digests = (all: readonly string[]): readonly string[] => [...new Set(all)];

/** For something that is made now and used later. @throws ServiceError 503 where only a backend could tell, and none is there. */
export async function versionForNew(card: ModelCard, ask: () => Promise<readonly ModelDescription[]>): Promise<ModelVersion> {
  const { id, sha256, tokenizerSha256: tokenizerDigest } = card;
  if (sha256 !== null) return { id, digest: sha256, tokenizerDigest };
  const descriptions = await ask();
  const found = newest(card, descriptions);
  if (found === undefined) throw new ServiceError(modelUnavailable(id, whyUnavailable(card, descriptions)));
  return { id, digest: found.digest, tokenizerDigest };
}
