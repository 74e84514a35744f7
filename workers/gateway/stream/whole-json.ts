/** An answer that is one JSON object: at once where it comes soon, and with white space in front where it takes its time. */
import type { ServiceFailure } from "../../contracts/errors.ts";
import { within } from "../../waiting/within.ts";
import type { GatewayContext } from "../environment.ts";
import { errorBody } from "../error-body.ts";
import { cancelled } from "../failures.ts";
import { failureReporter } from "./failure-reporter.ts";
import { slowJson, slowJsonHeaders } from "./slow-json.ts";

/**
 * How long a whole answer, once begun, is computed before its first byte, and how long it is silent after that. Runtimes that stand alone notice
 * that a client has closed its connection only when they write to it, so an answer nobody waits for would be computed to its end.
 */
const wholeSilenceMilliseconds = 2_000;

export interface WholeJson {
  readonly answer: Promise<object>;
  /** Until it has begun, whatever keeps it from that is told by a status. */
  readonly begun: Promise<unknown>;
  /** Frees the source of the answer once the client has gone. */
  readonly abort: AbortController;
  /** Asked for when the first byte is sent. */
  readonly headers: () => Record<string, string>;
  /** Where it is another than OpenAI's. */
  readonly errorBody?: ((failure: ServiceFailure) => object) | undefined;
}

export async function deliverJson(
  c: GatewayContext,
  { answer, begun, abort, headers, errorBody: ofFailure }: WholeJson,
): Promise<Response> {
  await Promise.race([begun, answer]);
  const soon = await within(answer, wholeSilenceMilliseconds, () => null);
  if (soon !== null) return c.json(soon, 200, headers());
  const body = slowJson(answer, {
    silenceMilliseconds: wholeSilenceMilliseconds,
    abort,
    onFailure: failureReporter(c),
    errorBody: ofFailure ?? errorBody,
  });
  return c.body(body, 200, { ...slowJsonHeaders, ...headers() });
}

/** Aborted by the runtime, where it notices by itself that the client has gone, or by whoever finds it out. */
export function untilClientLeaves(c: GatewayContext): AbortController {
  const abort = new AbortController();
  const leave = () => {
    abort.abort(cancelled());
  };
  const client = c.req.raw.signal;
  client.addEventListener("abort", leave, { once: true });
  if (client.aborted) leave();
  return abort;
}
