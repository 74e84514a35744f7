/**
 * Resuming by length of history up to lengths that take hours to read: the state of a short document, which is as large as any later one, is put
 * under a history of more tokens, in a session file. What comes out is no answer to anything; what it takes is what a real one takes, because
 * nothing that is done looks at what the numbers are.
 */
import { openSessionFile, sealSessionFile } from "../../../workers/session-file/session-file.ts";
import { newPassphraseKey, passphraseKey } from "../../../workers/session-file/passphrase-key.ts";
import type { SeriesCollector } from "../report/result.ts";
import { alternately } from "../alternately.ts";
import type { Client } from "./client.ts";
import { untilIdle } from "./idle.ts";
import { firstTokenFigure } from "./resume.ts";

export const lengthSetting = "resume, a session whose state is put under a history";
export const lengthProgram = (tokens: number): string => `a history of ${tokens} tokens`;
/** Tokens, all of them more than the document has; the first is what the others are compared with. */
export const lengths = [1_100, 16_000, 256_000, 1_000_000] as const;

/** Position, in a state file's header (`wasm/STATE_FORMAT.md`). */
const positionByte = 104;
const passphrase = "for this run only";
const timesARound = 3;
const question = "What is this text about? Answer in one sentence.";

export interface LengthOptions {
  readonly url: string;
  readonly client: Client;
  readonly key: string;
  readonly model: string;
  /** Whose window is full. */
  readonly session: string;
  readonly rounds: number;
  readonly progress: (message: string) => void;
  readonly collector: SeriesCollector;
}

export async function measureLengths(options: LengthOptions): Promise<void> {
  const { url, client, model, rounds, progress, collector } = options;
  const file = await exported(options);
  for (let round = 0; round < rounds; round += 1) {
    for (let repetition = 0; repetition < timesARound; repetition += 1) {
      for (const length of alternately(lengths, round + repetition)) {
        const session = await imported(options, await lengthened(file, length));
        await untilIdle(url);
        const messages = [{ role: "user", content: question }];
        const body = { model, session_id: session, messages, max_tokens: 2, temperature: 0, ignore_eos: true };
        const { firstToken, cachedTokens } = await client.stream("/v1/chat/completions", body);
        if (cachedTokens !== length) throw new Error(`A state of ${length} tokens must be found; one of ${cachedTokens} was.`);
        collector.add(lengthSetting, firstTokenFigure, "ms", lengthProgram(length), firstToken);
        progress(`round ${round + 1}, ${lengthProgram(length)}: first token after ${firstToken.toFixed(0)} ms`);
        await client.json("DELETE", `/v1/sessions/${session}`);
        await untilIdle(url);
      }
    }
  }
}

async function exported({ url, key, session }: LengthOptions): Promise<Uint8Array<ArrayBuffer>> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const body = JSON.stringify({ passphrase });
  const response = await fetch(`${url}/v1/sessions/${session}/export`, { method: "POST", headers, body });
  if (!response.ok) throw new Error(`export: ${await response.text()}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function imported({ url, key }: LengthOptions, file: Uint8Array<ArrayBuffer>): Promise<string> {
  const headers = { authorization: `Bearer ${key}`, "x-spikingbrain-passphrase": encodeURIComponent(passphrase) };
  const response = await fetch(`${url}/v1/sessions/import`, { method: "POST", headers, body: file });
  if (!response.ok) throw new Error(`import: ${await response.text()}`);
  return ((await response.json()) as { readonly id: string }).id;
}

/** The same conversation with its tokens repeated up to a length, and a state that says it has read them. */
async function lengthened(file: Uint8Array<ArrayBuffer>, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const { header, tokens, state } = await openSessionFile(streamOf(file), ({ sealed }) => passphraseKey(passphrase, sealed));
  if (state === null) throw new Error("the session has no state");
  const bytes = new Uint8Array(await new Response(state).arrayBuffer());
  new DataView(bytes.buffer).setBigUint64(positionByte, BigInt(length), true);
  const repeated = Uint32Array.from({ length }, (_unused, at) => tokens[at % tokens.length] ?? 0);
  const messages = [{ role: "system", content: "A document." }];
  const turns = [{ number: 0, messages, tokens: length, finish: "stop", created: header.created }];
  const { key, sealed } = await newPassphraseKey(passphrase);
  const content = { header: { ...header, tokens: length, sealed }, transcript: { name: "", turns, stateTokens: length }, tokens: repeated };
  return new Uint8Array(await new Response(sealSessionFile({ ...content, state: streamOf(bytes) }, key)).arrayBuffer());
}

const streamOf = (bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> => new Blob([bytes]).stream();
