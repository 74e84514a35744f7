/** Requests a second and whole-request latency, by autocannon in a process of its own. */
import { capture } from "../../../infra/local/run.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import type { BenchRequest } from "./request.ts";

export interface Load {
  readonly requestsPerSecond: number;
  /** Mean, milliseconds: by Little's law, because the tool's own percentiles are whole milliseconds. */
  readonly latency: number;
  /** 99th percentile, milliseconds. */
  readonly slowestLatency: number;
}

/** The part of `autocannon --json` that is used. */
interface Report {
  /** Seconds. */
  readonly duration: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly non2xx: number;
  readonly "2xx": number;
  readonly latency: { readonly p99: number };
}

/** It sees the end of a run only at a sample, so samples are short. */
const sampleMilliseconds = 10;

/** Makes `amount` requests, `connections` of them at any time. Throws unless every one is answered with a 2xx. */
export async function generateLoad(url: string, request: BenchRequest, connections: number, amount: number): Promise<Load> {
  const post = ["--method", "POST", "--headers", "content-type=application/json", "--body", JSON.stringify(request.body)];
  const { status, output } = await capture(process.execPath, [
    ...[inRepository("node_modules/autocannon/autocannon.js"), "--json", "--no-progress", "--timeout", "120"],
    ...["-L", String(sampleMilliseconds), "--connections", String(connections), "--amount", String(amount)],
    ...(request.body === undefined ? [] : post),
    `${url}${request.path}`,
  ]);
  if (status !== 0) throw new Error(`autocannon ended with status ${String(status)}: ${output}`);
  const report = JSON.parse(output.slice(output.indexOf("{"))) as Report;
  const { errors, timeouts, non2xx, "2xx": answered } = report;
  if (answered !== amount) {
    throw new Error(
      `${request.path}: ${answered} of ${amount} requests were answered, ${non2xx} refused, ${errors} broke (${timeouts} of them timed out).`,
    );
  }
  const requestsPerSecond = answered / report.duration;
  return { requestsPerSecond, latency: (1000 * connections) / requestsPerSecond, slowestLatency: report.latency.p99 };
}
