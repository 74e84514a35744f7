/** What a client is told when no backend can take its request: the nearest cause that waiting, or another request, mends. Pure. */
import type { ServiceFailure } from "../contracts/errors.ts";
import { isVersion, type Exclusion, type ExclusionKind, type needsOf } from "./eligible.ts";
import type { HealthView } from "./health.ts";
import type { Replica } from "./replica.ts";

/** A snapshot is renewed within this. */
const roomSeconds = 2;
/** A node tells of itself within this. */
const nodeSeconds = 5;

export function shedOf(
  needs: ReturnType<typeof needsOf>,
  excluded: readonly Exclusion[],
  replicas: readonly Replica[],
  health: HealthView,
): ServiceFailure {
  const of = (kind: ExclusionKind) => excluded.filter((one) => one.kind === kind);
  const model = `the model '${needs.model.id}'`;
  if (of("full").length > 0) {
    return {
      code: "overloaded",
      status: 503,
      message: `All ${of("full").length} backends of ${model} are full.`,
      retryable: true,
      retryAfterSeconds: roomSeconds,
    };
  }
  const failing = of("breaker");
  if (failing.length > 0) {
    const seconds = Math.ceil(Math.min(...failing.map(({ name }) => health.opensIn(name))) / 1000);
    return unavailable(`All ${failing.length} backends of ${model} failed lately; they are tried again.`, Math.max(1, seconds));
  }
  if (of("draining").length + of("weight").length > 0)
    return unavailable(`All backends of ${model} are being taken out of service.`, nodeSeconds);
  const context = of("context");
  if (context.length > 0) {
    const lengths = replicas.flatMap(({ models }) =>
      models.filter((one) => isVersion(one, needs.model)).map(({ contextLength }) => contextLength),
    );
    const message = `prompt and completion together may have ${Math.max(...lengths)} tokens with ${model}; they ask for ${needs.tokens}`;
    return { code: "context_length_exceeded", status: 400, message, param: "prompt", retryable: false };
  }
  const [field] = of("field");
  if (field !== undefined) {
    const message = `${field.param ?? "a field"} needs what no backend of ${model} can do: '${field.name}' is excluded because ${field.why}`;
    return {
      code: "unsupported_field",
      status: 400,
      message,
      ...(field.param === undefined ? {} : { param: field.param }),
      retryable: false,
    };
  }
  if (of("version").length > 0) {
    const message = `model must be the version of '${needs.model.id}' that is served now; its digest is ${needs.model.digest}, which no backend has`;
    return { code: "model_not_found", status: 404, message, param: "model", retryable: false };
  }
  return unavailable(
    `No backend of the pool has ${model} now. A replica that serves it must register, or the WASM engine must be given it.`,
    nodeSeconds,
  );
}

function unavailable(message: string, retryAfterSeconds: number): ServiceFailure {
  return { code: "engine_unavailable", status: 503, message, retryable: true, retryAfterSeconds };
}
