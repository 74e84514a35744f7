/** What a load tool does not see: when the first token of a stream arrives, and how far apart the others are. */
import { request as httpRequest, type Agent } from "node:http";
import { median } from "../report/statistics.ts";
import { overConnections } from "./connections.ts";
import { streamedTokens, type StreamRequest } from "./request.ts";

export interface StreamTimes {
  /** Median over the streams, milliseconds from the request until the first token is here. */
  readonly firstToken: number;
  /** Median over the streams, milliseconds between two tokens. */
  readonly furtherToken: number;
  /** Over all streams together. */
  readonly tokensPerSecond: number;
}

/** Milliseconds since the request. */
interface Arrivals {
  readonly first: number;
  readonly last: number;
}

/** Reads `amount` streams, `connections` of them at any time. */
export async function readStreams(url: string, request: StreamRequest, connections: number, amount: number): Promise<StreamTimes> {
  const { results: arrivals, seconds } = await overConnections(connections, amount, (agent) => readStream(url, request, agent));
  return {
    firstToken: median(arrivals.map(({ first }) => first)),
    furtherToken: median(arrivals.map(({ first, last }) => (last - first) / (streamedTokens - 1))),
    tokensPerSecond: (amount * streamedTokens) / seconds,
  };
}

function readStream(url: string, { path, body, tokenMark, end }: StreamRequest, agent: Agent): Promise<Arrivals> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const headers = { "content-type": "application/json" };
    const request = httpRequest(`${url}${path}`, { method: "POST", agent, headers }, (response) => {
      let text = "";
      let marksBefore = 0;
      let first: number | undefined;
      let last = 0;
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        // In the whole text, because a chunk may end within a mark.
        const at = text.indexOf(tokenMark, marksBefore);
        if (at < 0) return;
        marksBefore = text.lastIndexOf(tokenMark) + tokenMark.length;
        last = performance.now() - begin;
        first ??= last;
      });
      response.once("error", (cause) => {
        reject(new Error(`${path}: the stream broke off (${cause.message}) after ${JSON.stringify(text.slice(-300))}`, { cause }));
      });
      response.once("end", () => {
        if (response.statusCode === 200 && first !== undefined && end.test(text)) resolve({ first, last });
        else
          reject(
            new Error(`${path}: status ${String(response.statusCode)}, and the answer must match ${String(end)}: ${text.slice(-300)}`),
          );
      });
    });
    request.once("error", reject);
    request.end(JSON.stringify(body));
  });
}
