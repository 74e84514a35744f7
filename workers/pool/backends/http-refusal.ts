/** What a request over HTTP may be, whatever the server's dialect. */
import type { ModelDescription } from "../../contracts/engine.ts";
import { missingAbility } from "../../contracts/request/missing-ability.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import { refusalOf } from "../../contracts/request/check.ts";
import { invalidField } from "../../contracts/request/failures.ts";
import type { RequestToCheck } from "../../contracts/request/open-state.ts";

/** Why a server that is asked over HTTP cannot take a request, which need not have come over a checked way. */
export function httpRefusalOf(request: RequestToCheck, model: ModelDescription): ServiceFailure | undefined {
  const { id, digest, vocabularySize, contextLength, abilities } = model;
  // Without `state`: the whole text goes to the replica, so that all of it counts.
  const refusal = refusalOf(request, { id, digest, vocabularySize, contextLength });
  if (refusal !== undefined) return refusal;
  if (request.reportState === true) return invalidField("reportState", "must be false at a backend that does not tell of its state", true);
  const missing = missingAbility(request, abilities);
  return missing === undefined
    ? undefined
    : invalidField(missing.param, `must be left out at a backend without the ability '${missing.ability}'`, "there");
}
