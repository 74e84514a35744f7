/** Files of objects that are cut, overwritten or broken inside while the stack is down: who meets one is told what it is and what to do. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { bytesAsTokens } from "../../workers/support/tiny-tokenizer.ts";
import { filesBelow, filesWith } from "./persisted.ts";
import { useScriptedStack } from "./stack.ts";

const folder = mkdtempSync(join(tmpdir(), "broken-files-"));
let output = "";
const stack = useScriptedStack({}, { persistTo: folder, onOutput: (text) => (output += text) });
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Damage = (file: string) => void;
const damages = {
  cut: (file) => {
    truncateSync(file, 10_000);
  },
  overwritten: (file) => {
    writeFileSync(file, Buffer.alloc(40_000, "garbage!"));
  },
  // Tables of the object's own: without the runtime's, the file does not open.
  "broken inside": (file) => {
    const database = new DatabaseSync(file);
    const roots = database.prepare("SELECT rootpage FROM sqlite_master WHERE rootpage > 0 AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").all();
    database.close();
    const bytes = readFileSync(file);
    // What tables are made of, as the header says.
    const unit = bytes.readUInt16BE(16);
    for (const { rootpage } of roots as { rootpage: number }[]) bytes.fill(0xab, (rootpage - 1) * unit, rootpage * unit);
    writeFileSync(file, bytes);
  },
} satisfies Readonly<Record<string, Damage>>;
const kinds = Object.keys(damages) as (keyof typeof damages)[];

/** With it goes its log of changes, which an object that was looked at meanwhile has again. */
function damage(file: string, kind: keyof typeof damages): void {
  damages[kind](file);
  for (const beside of ["-wal", "-shm"]) rmSync(file + beside, { force: true });
}

class Client {
  readonly authorization = `Bearer sk-${crypto.randomUUID()}`;
  call(method: string, path: string, body?: object): Promise<Response> {
    const headers = { authorization: this.authorization, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    return fetch(`${stack.url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }
  async create(): Promise<string> {
    const response = await this.call("POST", "/v1/sessions", { model: "tiny" });
    return ((await response.json()) as { id: string }).id;
  }
  say(session?: string): Promise<Response> {
    const messages = [{ role: "user", content: "Where is the sea? ".repeat(8) }];
    return this.call("POST", "/v1/chat/completions", {
      model: "tiny",
      messages,
      max_tokens: 8,
      ...(session === undefined ? {} : { session_id: session }),
    });
  }
}

/** An object's database, once its log of changes has gone into it. */
async function fileOf(kind: string, marker: string): Promise<string> {
  const found = () => filesWith(folder, Buffer.from(marker)).filter((file) => file.includes(kind) && !file.includes("metadata"));
  await vi.waitFor(
    () => {
      expect(found()).toEqual([expect.stringMatching(/\.sqlite$/)]);
    },
    { timeout: 60_000, interval: 500 },
  );
  return found()[0] ?? "";
}

async function expectCorrupt(response: Response, words: string): Promise<void> {
  expect(await response.json()).toMatchObject({ error: { code: "storage_corrupt", message: expect.stringContaining(words) as string } });
  expect(response.status).toBe(500);
  expect([response.headers.get("retry-after"), response.headers.get("x-should-retry")]).toEqual([null, "false"]);
}

const alice = new Client();
const stores = Object.fromEntries(kinds.map((kind) => [kind, new Client()])) as Record<keyof typeof damages, Client>;
const listless = new Client();
const sessions: Record<string, string> = {};

beforeAll(async () => {
  await stack.use({ reply: bytesAsTokens("By the land. ") });
  for (const name of ["sound", ...kinds]) await alice.say((sessions[name] = await alice.create()));
  for (const client of [listless, ...Object.values(stores)]) await client.say((sessions[client.authorization] = await client.create()));
  const broken = await Promise.all(kinds.map((kind) => fileOf("SessionObject", sessions[kind] ?? "")));
  const [list] = [await fileOf("DirectoryObject", sessions[listless.authorization] ?? "")];
  // Owners of states are named by their session.
  const ofTenants = await Promise.all(kinds.map((kind) => fileOf("TenantObject", sessions[stores[kind].authorization] ?? "")));
  await stack.restart(() => {
    for (const [at, kind] of kinds.entries()) for (const file of [broken[at], ofTenants[at]]) damage(file ?? "", kind);
    damage(list, "overwritten");
    const ofStreams = (one: string) => one.includes("StreamObject") && !one.includes("metadata") && one.endsWith(".sqlite");
    for (const file of filesBelow(folder).filter(ofStreams)) damage(file, "overwritten");
  });
  await stack.use({ reply: bytesAsTokens("By the land. ") });
}, 300_000);

test.each(kinds)("a conversation whose file is %s says so, and can be deleted", async (kind) => {
  const id = sessions[kind] ?? "";
  await expectCorrupt(await alice.call("GET", `/v1/sessions/${id}`), "this conversation");
  await expectCorrupt(await alice.say(id), "this conversation");
  await expectCorrupt(await alice.call("GET", `/v1/sessions/${id}/turns`), "DELETE /v1/sessions/{id}");
  expect((await alice.say(sessions.sound)).status).toBe(200);
  expect((await alice.call("DELETE", `/v1/sessions/${id}`)).status).toBe(204);
  for (const method of ["GET", "DELETE"]) expect((await alice.call(method, `/v1/sessions/${id}`)).status).toBe(404);
  const { data } = (await (await alice.call("GET", "/v1/sessions")).json()) as { data: { id: string }[] };
  expect(data.map((one) => one.id)).toContain(sessions.sound);
  expect(data.map((one) => one.id)).not.toContain(id);
});

test.each(kinds)("answers go on without the states of a key whose index is %s", async (kind) => {
  const client = stores[kind];
  expect((await client.say()).status).toBe(200);
  const session = sessions[client.authorization] ?? "";
  expect((await client.say(session)).status).toBe(200);
  const usage = await client.call("GET", "/v1/usage");
  // Where the file does not open, nothing can be begun anew from here.
  if (kind === "broken inside") expect(usage.status).toBe(200);
  else await expectCorrupt(usage, "this key's index of states");
  expect((await client.call("DELETE", `/v1/sessions/${session}`)).status).toBe(204);
});

test("a list that is overwritten says so; what was in it is found by its id", async () => {
  await expectCorrupt(await listless.call("GET", "/v1/sessions"), "list of sessions");
  expect((await listless.say(sessions[listless.authorization])).status).toBe(200);
});

test("the log names the event, and nothing of what was kept", () => {
  expect(output).toContain('"event":"storage_corrupt","object":"conversation"');
  expect(output).not.toContain("Where is the sea");
});
