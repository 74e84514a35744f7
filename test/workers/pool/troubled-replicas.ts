/** Replicas over HTTP in the whole stack, all with the toy for a model, that break in every way there is: each trouble strikes once. */
import { env } from "cloudflare:workers";
import type { Ability } from "../../../workers/contracts/abilities.ts";
import { bytesOf } from "../../../workers/pool/backends/replica-http.ts";
import type { PoolEnvironment } from "../../../workers/pool/environment.ts";
import { pause } from "../../../workers/waiting/within.ts";
import { errorOf } from "../../contract/replica/error-of.ts";
import { replicaKey, ScriptedReplica } from "../../contract/replica/scripted-replica.ts";
import { replicas } from "../support/gateway-worker.ts";
import { tinyManifest, tinyTokenizer, versionOf } from "../support/tiny-tokenizer.ts";

/** What happens to an answer before its event of this number, from 0. */
export interface Trouble {
  readonly how: keyof typeof breaking | keyof typeof delaying | keyof typeof refusing;
  readonly at?: number;
}

/** What comes in an event's place; undefined ends the answer there, a promise that never resolves leaves it hanging. */
const breaking = {
  cut: () => Promise.reject(new Error("the connection was cut")),
  malformed: () => Promise.resolve("data: {oops\n\n"),
  "no event": () => Promise.resolve("data: 17\n\n"),
  unfinished: () => Promise.resolve(undefined),
  "wrong ids": (event: string) => Promise.resolve(event.replace(/"token_ids":\[[^\]]*\]/, '"token_ids":[99999999]')),
  "says it failed": () => Promise.resolve('data: {"error":{"message":"out of memory","code":500}}\n\n'),
} as const;

/** What comes in an event's place from one that goes on: never anything, or the event itself a while later. */
const delaying = {
  hang: () => new Promise<never>(() => undefined),
  late: async (event: string) => {
    await pause(lateMilliseconds);
    return event;
  },
} as const;

/** Longer than a hedge waits in tests, and far shorter than anything else. */
const lateMilliseconds = 1_000;

const refusing = {
  refused: () => Promise.reject(new Error("connection refused")),
  "status 500": () => Promise.resolve(errorOf(500, "internal_error")),
  "status 503": () => Promise.resolve(errorOf(503, "overloaded", { "retry-after": "1" })),
  "status 429": () => Promise.resolve(errorOf(429, "rate_limited", { "retry-after": "1" })),
  "a redirect": () => Promise.resolve(new Response(null, { status: 302, headers: { location: "https://elsewhere.example/" } })),
  "no stream": () => Promise.resolve(Response.json({ choices: [] })),
  "never answers": () => new Promise<never>(() => undefined),
} as const;

/** All after which an answer goes on elsewhere. */
export const troubles: readonly Trouble["how"][] = [
  "hang",
  ...(Object.keys(breaking) as (keyof typeof breaking)[]),
  ...(Object.keys(refusing) as (keyof typeof refusing)[]),
];

export const isRefusal = (how: Trouble["how"]): how is keyof typeof refusing => how in refusing;

const ofReplicas: readonly Ability[] = ["constraints", "continued", "logit_bias", "long_seeds", "prompt_logprobs", "scored_tokens"];

export class Replicas {
  static #count = 0;
  readonly all: readonly ScriptedReplica[];
  readonly names: readonly string[];
  /** Strikes in this order, each once, whichever replica is asked. */
  troubles: Trouble[] = [];
  /** What strikes a request once those have. */
  nextTrouble: () => Trouble | undefined = () => undefined;
  /** Troubles that have struck. */
  struck = 0;
  /** A replica that is away refuses every connection. */
  readonly away = new Set<string>();

  constructor(count: number) {
    const own = String(++Replicas.#count);
    this.names = Array.from({ length: count }, (_unused, at) => `r${own}-${String(at)}`);
    this.all = this.names.map((name) => {
      const replica = new ScriptedReplica({ id: tinyManifest.id, vocabularySize: tinyTokenizer.tokens.length });
      replicas.set(hostOf(name), (request) => this.#answer(name, replica, request));
      return replica;
    });
  }

  /** Puts them into the pool, and waits until isolates' copies are old enough to be renewed. */
  async join(abilities: readonly Ability[] = ofReplicas): Promise<void> {
    await setStatic(this.names.map((name) => listed(name, abilities)));
  }

  async leave(): Promise<void> {
    await setStatic([]);
  }

  get requests(): number {
    return this.all.reduce((sum, { seen }) => sum + seen.length, 0);
  }

  get running(): number {
    return this.all.reduce((sum, { running }) => sum + running, 0);
  }

  async #answer(name: string, replica: ScriptedReplica, request: Request): Promise<Response> {
    if (this.away.has(name)) throw new Error("connection refused");
    const trouble = this.troubles.shift() ?? this.nextTrouble();
    if (trouble !== undefined) this.struck++;
    if (trouble === undefined) return await replica.network(request);
    const { how, at = 0 } = trouble;
    if (isRefusal(how)) {
      await request.text();
      return await refusing[how]();
    }
    const response = await replica.network(request);
    return new Response(troubled(bytesOf(response), how, at), response);
  }
}

/** Server-sent events, one a chunk as the scripted replica sends them. One that hangs can be left all the same. */
function troubled(body: ReadableStream<Uint8Array>, how: keyof typeof breaking | keyof typeof delaying, at: number) {
  const reader = body.getReader();
  const goesOn = how in delaying;
  let number = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value } = await reader.read();
        const isDue = value !== undefined && number++ === at;
        if (isDue && !goesOn) await reader.cancel();
        const sent = isDue ? await instead(value, { ...breaking, ...delaying }[how]) : value;
        if (sent !== undefined) controller.enqueue(sent);
        if (sent === undefined || (isDue && !goesOn)) controller.close();
      },
      async cancel(reason) {
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

async function instead(chunk: Uint8Array, how: (event: string) => Promise<string | undefined>): Promise<Uint8Array | undefined> {
  const event = await how(new TextDecoder().decode(chunk));
  return event === undefined ? undefined : new TextEncoder().encode(event);
}

const hostOf = (name: string) => `${name}.pool.example.com`;

function listed(name: string, abilities: readonly Ability[]): object {
  const { id, digest, tokenizerDigest } = versionOf(tinyManifest);
  const model = {
    ...{ id, digest, tokenizer_digest: tokenizerDigest, architecture: "toy", parameters: 0, kernel: "toy" },
    ...{ vocabulary_size: tinyTokenizer.tokens.length, context_length: tinyManifest.contextLength, abilities, state: null, spikes: null },
  };
  return { name, kind: "vllm", address: `https://${hostOf(name)}`, key: replicaKey, access: true, models: [model] };
}

/** Longer than `POOL_REFRESH_SECONDS` of the tests, twice. */
const renewalMilliseconds = 150;

async function setStatic(list: readonly object[]): Promise<void> {
  setPoolVariables({ POOL_STATIC: list.length === 0 ? undefined : JSON.stringify(list) });
  await pause(renewalMilliseconds);
}

type PoolVariables = { readonly [Name in Extract<keyof PoolEnvironment, `POOL_${string}`>]?: string | undefined };

/** So that no test waits for long. */
export const littlePatience: PoolVariables = { POOL_GAP_SECONDS: "0.3", POOL_FIRST_TOKEN_SECONDS: "0.5", POOL_CONNECT_SECONDS: "0.3" };
export const usualPatience: PoolVariables = {
  POOL_GAP_SECONDS: undefined,
  POOL_FIRST_TOKEN_SECONDS: undefined,
  POOL_CONNECT_SECONDS: undefined,
};

export function setPoolVariables(variables: PoolVariables): void {
  const all = env as unknown as Record<string, string>;
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) Reflect.deleteProperty(all, name);
    else all[name] = value;
  }
}
