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
  /** The text of so many tokens of an answer from its beginning, of none to all. */
  readonly texts: readonly string[];
}

/**
 * `whole`: all tokens, no others, and the end of the answer. `short`: a stream that ended properly, without all of them, or with others. `error`: the client was told that it
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
  /** When text of the answer came. */
  readonly arrivals: readonly Arrival[];
}

export interface Arrival {
  /** Unix milliseconds. */
  readonly time: number;
  /** Of the answer's text, those that had come by then. */
  readonly characters: number;
}

export const hangMilliseconds = 8_000;

/** Read so far, by all programs. */
let streams = 0;

export function readStream({ url, path, headers, body, texts }: Target, agent: Agent): Promise<StreamEnd> {
  return new Promise((resolve) => {
    const [begin, since] = [performance.now(), now()];
    let last = begin;
    let longestGap = 0;
    let text = "";
    let status = 0;
    // What is in them is looked at once nothing is being measured.
    const reads: Read[] = [];
    const end = (ending?: "hung" | "broken"): void => {
      clearTimeout(timer);
      const milliseconds = performance.now() - begin;
      longestGap = Math.max(longestGap, performance.now() - last);
      const events = eventsOf(text);
      const found = ending === undefined ? endingOf(status, events, texts.at(-1)) : { ending, text };
      resolve({ ...found, since, arrivals: arrivalsOf(reads, events), milliseconds, longestGap });
    };
    const hung = (): void => {
      end("hung");
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
          reads.push({ time: now(), length: text.length });
          longestGap = Math.max(longestGap, performance.now() - last);
          last = performance.now();
          clearTimeout(timer);
          timer = setTimeout(hung, hangMilliseconds);
        });
        response.once("end", () => {
          end();
        });
        response.once("error", () => {
          end("broken");
        });
      },
    );
    request.once("error", () => {
      end("broken");
    });
    streams += 1;
    request.end(JSON.stringify(body(streams)));
  });
}

interface Read {
  readonly time: number;
  /** Of the whole body so far, characters. */
  readonly length: number;
}

interface Chunk {
  readonly error?: object;
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null }; readonly finish_reason?: string | null }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

interface Event {
  /** Undefined of the event that ends a stream. */
  readonly chunk: Chunk | undefined;
  /** Where it ends in the body, characters. */
  readonly end: number;
}

/** Those that came whole. */
function eventsOf(text: string): readonly Event[] {
  return [...text.matchAll(/^data: (.+)\n/gm)].map(({ 0: line, 1: data = "", index }) => ({
    chunk: data === "[DONE]" ? undefined : (JSON.parse(data) as Chunk),
    end: index + line.length,
  }));
}

const contentOf = ({ chunk }: Event): string => chunk?.choices?.[0]?.delta?.content ?? "";

function arrivalsOf(reads: readonly Read[], events: readonly Event[]): readonly Arrival[] {
  const arrivals: Arrival[] = [];
  let [next, characters] = [0, 0];
  for (const { time, length } of reads) {
    const before = characters;
    for (let event = events[next]; event !== undefined && event.end <= length; event = events[++next])
      characters += contentOf(event).length;
    if (characters > before) arrivals.push({ time, characters });
  }
  return arrivals;
}

function endingOf(status: number, events: readonly Event[], expected: string | undefined): Pick<StreamEnd, "ending" | "text"> {
  const chunks = events.flatMap(({ chunk }) => chunk ?? []);
  const content = events.map(contentOf).join("");
  if (status !== 200 || chunks.some(({ error }) => error !== undefined)) return { ending: "error", text: content };
  const last = events.at(-1);
  const isWhole =
    last !== undefined &&
    last.chunk === undefined &&
    chunks.some(({ choices = [] }) => choices[0]?.finish_reason === "length") &&
    chunks.some(({ usage }) => usage?.completion_tokens === answerTokens) &&
    content === expected;
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
