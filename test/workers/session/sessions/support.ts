/** Reaches into sessions' objects and into what a tenant's store keeps for them. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import { sessionObjectName } from "../../../../workers/session/sessions/contract.ts";
import { hasTable } from "../../../../workers/session/storage/tables.ts";
import type { SessionClient } from "../../support/session-client.ts";
import { tenantOf } from "../../support/stores.ts";

const bindings = env as unknown as SessionEnvironment;

export async function sessionObject({ key }: SessionClient, session: string) {
  return bindings.SESSION_OBJECT.getByName(sessionObjectName(await tenantOf(key), session));
}

export async function inSession<T>(
  client: SessionClient,
  session: string,
  work: (state: DurableObjectState) => T | Promise<T>,
): Promise<T> {
  return await runInDurableObject(await sessionObject(client, session), (_object, state) => work(state));
}

/** As an isolate that is moved or dies. */
export async function lose(client: SessionClient, session: string): Promise<void> {
  const call = inSession(client, session, (state) => {
    state.abort("lost");
  });
  await call.catch((cause: unknown) => {
    if (!String(cause).includes("lost")) throw cause;
  });
}

/** Who keeps states in the client's store, in order. */
export async function owners(client: SessionClient): Promise<string[]> {
  return await inStore(client, ({ storage }) =>
    hasTable(storage.sql, "owners")
      ? Array.from(storage.sql.exec<{ owner: string }>("SELECT owner FROM owners ORDER BY owner"), ({ owner }) => owner)
      : [],
  );
}

/** All states are gone, as far as anybody who opens one can tell. */
export async function dropStates(client: SessionClient): Promise<void> {
  await inStore(client, ({ storage }) => {
    storage.sql.exec("UPDATE snapshots SET id = 'gone' || id");
  });
}

/** As if the client's store, which keeps nothing yet, had been deployed without `STATE_KEYS`. */
export async function withoutStateKeys({ key }: SessionClient): Promise<void> {
  await runInDurableObject(bindings.TENANT_OBJECT.getByName(await tenantOf(key)), (object: object) => {
    const { STATE_KEYS: _none, ...without } = bindings;
    Object.defineProperty(object, "env", { value: without });
  });
}

async function inStore<T>({ key }: SessionClient, work: (state: DurableObjectState) => T): Promise<T> {
  return await runInDurableObject(bindings.TENANT_OBJECT.getByName(await tenantOf(key)), (_object, state) => work(state));
}

/** A turn as a file of a session has it, where its conversation has read so many tokens. */
export const exchange = (number: number, tokens: number, content = "Hello?") => ({
  number,
  messages: [
    { role: "user", content },
    { role: "assistant", content: "Yes." },
  ] as const,
  tokens,
  finish: "stop" as const,
  created: 1_700_000_000,
});
