/** What a client sees of streams: how long each took, and how it ended. */
import { request as httpRequest, type Agent } from "node:http";
import { overConnections } from "../http/connections.ts";
import { answerTokens, now } from "./upstream.ts";

export interface Target {
  readonly url: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the stream of this number. */
  readonly body: (index: number) => object;
  /** The text of a whole answer, once it is known. */
  readonly expected?: string;
}

/**
 * `whole`: all tokens and the end of the answer. `short`: a stream that ended properly, without all of them, or with others. `error`: the client was told that it
 * failed, by a status or in the stream. `broken`: the connection broke off. `hung`: nothing came for {@link hangMilliseconds}.
 */
export type Ending = "whole" | "short" | "error" | "broken" | "hung";

export interface StreamEnd {
  readonly ending: Ending;
  readonly milliseconds: number;
  /** The longest time without anything. */
  readonly longestGap: number;
  readonly text: string;
  /** When it was asked for; Unix milliseconds. */
  readonly since: number;
  /** When text of the answer came; Unix milliseconds. */
  readonly arrivals: readonly number[];
}

/** A token's text, in the chunks of all programs. */
const tokenText = /"content":\s*"[^"]/;

export const hangMilliseconds = 8_000;

/** Read so far, by all programs. */
let streams = 0;

export function readStream({ url, path, headers, body, expected }: Target, agent: Agent): Promise<StreamEnd> {
  return new Promise((resolve) => {
    const [begin, since] = [performance.now(), now()];
    let last = begin;
    let longestGap = 0;
    let text = "";
    let status = 0;
    const arrivals: number[] = [];
    const end = (found: Pick<StreamEnd, "ending" | "text">): void => {
      clearTimeout(timer);
      longestGap = Math.max(longestGap, performance.now() - last);
      resolve({ ...found, since, arrivals, milliseconds: performance.now() - begin, longestGap });
    };
    const hung = (): void => {
      end({ ending: "hung", text });
      request.destroy();
    };
    let timer = setTimeout(hung, hangMilliseconds);
    const request = httpRequest(
      `${url}${path}`,
      { method: "POST", agent, headers: { "content-type": "application/json", ...headers } },
      (response) => {
        status = response.statusCode ?? 0;
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (tokenText.test(chunk)) arrivals.push(now());
          longestGap = Math.max(longestGap, performance.now() - last);
          last = performance.now();
          clearTimeout(timer);
          timer = setTimeout(hung, hangMilliseconds);
        });
        response.once("end", () => {
          end(endingOf(status, text, expected));
        });
        response.once("error", () => {
          end({ ending: "broken", text });
        });
      },
    );
    request.once("error", () => {
      end({ ending: "broken", text });
    });
    streams += 1;
    request.end(JSON.stringify(body(streams)));
  });
}

interface Chunk {
  readonly error?: object;
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null }; readonly finish_reason?: string | null }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

function endingOf(status: number, text: string, expected: string | undefined): Pick<StreamEnd, "ending" | "text"> {
  const events = [...text.matchAll(/^data: (.+)$/gm)].map(([, data = ""]) => data);
  const chunks = events.filter((data) => data !== "[DONE]").map((data) => JSON.parse(data) as Chunk);
  const content = chunks.map(({ choices = [] }) => choices[0]?.delta?.content ?? "").join("");
  if (status !== 200 || chunks.some(({ error }) => error !== undefined)) return { ending: "error", text: content };
  const isWhole =
    events.at(-1) === "[DONE]" &&
    chunks.some(({ choices = [] }) => choices[0]?.finish_reason === "length") &&
    chunks.some(({ usage }) => usage?.completion_tokens === answerTokens) &&
    content === (expected ?? content);
  return { ending: isWhole ? "whole" : "short", text: content };
}

/** Reads `amount` streams, `connections` of them at any time, and throws unless all are whole. Sorted times in milliseconds, and streams a second. */
export async function load(
  target: Target,
  connections: number,
  amount: number,
): Promise<{ readonly times: readonly number[]; readonly perSecond: number }> {
  const { results, seconds } = await overConnections(connections, amount, async (agent) => {
    const { ending, milliseconds, text } = await readStream(target, agent);
    if (ending !== "whole") throw new Error(`${target.url}${target.path}: a stream's end was '${ending}', after ${JSON.stringify(text)}`);
    return milliseconds;
  });
  return { times: results.toSorted((left, right) => left - right), perSecond: amount / seconds };
}
