/** Failures of models that can't be used. */
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";

/** A replica may register meanwhile, and somebody who reads the message may see to it. */
const unavailableSeconds = 30;

/** `why`: words that go on after "now:". */
export const modelUnavailable = (id: string, why: string): ServiceFailure => ({
  code: "engine_unavailable",
  status: 503,
  message: `The model '${id}' can't answer now: ${why}.`,
  param: "model",
  retryable: true,
  retryAfterSeconds: unavailableSeconds,
});

/** What an operator can do where no backend has a model. */
export const noBackend =
  "no backend serves it. `npm run pool` starts replicas, and gpu-backend/docs/vllm-replica.md says how others register";

/** `isOfFile`: whether this machine could run it, so that its tokenizer comes with its weights. */
export const notPrepared = (id: string, isOfFile: boolean): string => (isOfFile ? weightsMissing(id) : tokenizerMissing);

const weightsMissing = (id: string): string =>
  `its weights are not prepared here. \`SPIKINGBRAIN_MODEL=${id} npm start\` serves it in place of the model that is served now`;

const tokenizerMissing =
  "its tokenizer is not prepared. `npm run setup:model -- --all` prepares the tokenizers of all models, for the next start";

/** Backends have the id and not this version of it: their tokens, or their weights, are others. */
export const otherVersion = (what: "tokenizer" | "weights", wanted: string, found: readonly string[]): string =>
  `the replicas that have it have ${what === "tokenizer" ? "another tokenizer" : "other weights"} (sha256 ${found.map(short).join(", ")}) than this deployment (${short(wanted)}). ` +
  `A replica whose files mean the same says so with --${what}-sha256 ${wanted}`;

/** Of a session's weights: it stays bound to them. */
export const ownVersionGone = (digest: string): string =>
  `the session was made with weights (sha256 ${short(digest)}) that no backend has now. It goes on when one has them again`;

const shownDigits = 12;
const short = (digest: string): string => `${digest.slice(0, shownDigits)}…`;

export function modelNotFound(name: string, ids: readonly string[]): ServiceFailure {
  return {
    code: "model_not_found",
    status: 404,
    message: `The model '${name.slice(0, 100).toWellFormed()}' does not exist. Served here: ${ids.map((id) => `'${id}'`).join(", ")}.`,
    param: "model",
    retryable: false,
  };
}

export function fileInvalid(path: string, what: string, cause?: unknown): ServiceError {
  const message = `The model is not installed: ${path} ${what}. \`npm run setup:model\` writes it.`;
  return new ServiceError({ code: "model_invalid", status: 500, message, retryable: false }, { cause });
}
