/** Documents that the stack has read once, found again by their text in a later run. */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "./client.ts";

export interface Context {
  readonly id: string;
  /** Of all that was read, the beginning of the template included. */
  readonly tokens: number;
}

/** The part of a context object that is read. */
interface ContextObject {
  readonly id: string;
  readonly name: string;
  readonly model: string;
  readonly tokens: number;
  readonly ingest: {
    readonly stage: "uploading" | "reading" | "ready" | "failed";
    readonly read_tokens: number;
    readonly error?: { readonly message: string };
  } | null;
}

const listPageLimit = 100;
const pollMilliseconds = 1_000;
/** Reading a million tokens tells so often how far it is. */
const progressMilliseconds = 30_000;

/** One that has its whole text, read or not. */
export async function findContext(client: Client, model: string, document: string): Promise<ContextObject | undefined> {
  const name = nameOf(document);
  for (let after = "", more = true; more;) {
    const listPage = await client.json<{ readonly data: readonly ContextObject[]; readonly has_more: boolean }>(
      "GET",
      `/v1/contexts?limit=${listPageLimit}${after}`,
    );
    const found = listPage.data.find(
      (one) => one.name === name && one.model === model && /^(reading|ready)$/.test(one.ingest?.stage ?? "ready"),
    );
    if (found !== undefined) return found;
    after = `&after=${listPage.data.at(-1)?.id ?? ""}`;
    more = listPage.has_more;
  }
  return undefined;
}

export async function sendContext(client: Client, model: string, document: string): Promise<ContextObject> {
  const query = new URLSearchParams({ model, name: nameOf(document) });
  return await client.json<ContextObject>("POST", `/v1/contexts?${String(query)}`, document);
}

/** Resolves once all of it is read. @throws Error where that fails. */
export async function whenRead(client: Client, context: ContextObject, progress: (tokens: number) => void): Promise<Context> {
  let told = performance.now();
  for (let now = context; ; now = await client.json<ContextObject>("GET", `/v1/contexts/${context.id}`)) {
    const { stage, read_tokens: read, error } = now.ingest ?? { stage: "ready", read_tokens: now.tokens };
    if (stage === "ready") return { id: now.id, tokens: now.tokens };
    if (stage === "failed") throw new Error(`${now.name}: reading it failed after ${read} tokens: ${error?.message ?? "no reason given"}`);
    if (performance.now() - told > progressMilliseconds) {
      progress(read);
      told = performance.now();
    }
    await delay(pollMilliseconds);
  }
}

/** The id of a new session that starts behind the document. */
export async function forkContext(client: Client, model: string, context: Context): Promise<string> {
  const { id } = await client.json<{ readonly id: string }>("POST", "/v1/sessions", { model, from: { context_id: context.id } });
  return id;
}

function nameOf(document: string): string {
  return `bench ${createHash("sha256").update(document).digest("hex").slice(0, 16)}`;
}
