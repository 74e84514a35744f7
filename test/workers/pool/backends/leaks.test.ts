/** A replica that says back what it was asked with: its key and address reach nobody. */
import { afterEach, expect, test, vi } from "vitest";
import { accessToken, replicaAddress, replicaKey, type ReplicaScript } from "../../../contract/replica/scripted-replica.ts";
import { spyOnLog } from "../../support/log-spy.ts";
import { got, type Kind } from "./servers.ts";

type Echo = (said: string) => Response;
const echoes: readonly (readonly [name: string, echo: Echo])[] = [
  ["an error", (said) => Response.json({ error: { message: said, code: said, param: said } }, { status: 400 })],
  ["an error's header", (said) => new Response(null, { status: 503, headers: { "retry-after": said, "www-authenticate": said } })],
  ["a web page", (said) => new Response(said, { headers: { "content-type": "text/html" } })],
  [
    "a redirect",
    (said) => new Response(null, { status: 302, headers: { location: `https://elsewhere.example/?${encodeURIComponent(said)}` } }),
  ],
  ["an error in a stream", (said) => streamOf({ error: { message: said } })],
  ["a reason for its end", (said) => streamOf({ choices: [{ token_ids: [], finish_reason: said }] })],
  ["another model's name", (said) => streamOf({ model: said, choices: [{ token_ids: [said] }] })],
];
const streamOf = (event: object) =>
  new Response(`data: ${JSON.stringify(event)}\n\n`, { headers: { "content-type": "text/event-stream" } });

afterEach(() => void vi.restoreAllMocks());

const cases = (["vllm", "openai"] satisfies Kind[]).flatMap((kind) => echoes.map(([name, echo]) => ({ kind, name, echo })));

test.each(cases)("$kind: $name", async ({ kind, echo }) => {
  const logs = spyOnLog();
  let said = "";
  const script: ReplicaScript = {
    answers(request) {
      said = `${JSON.stringify([...request.headers])} at ${request.url}`;
      return echo(said);
    },
  };
  const { failure, events } = await got(kind, script);
  // What is looked for was there to leak.
  expect(said).toContain(replicaKey);
  expect(said).toContain(replicaAddress);
  expect(said).toContain(accessToken.secret);
  expect(failure?.retryable).toBe(true);
  const heard = JSON.stringify([failure, events, logs]);
  for (const secret of [replicaKey, accessToken.id, accessToken.secret, new URL(replicaAddress).host]) expect(heard).not.toContain(secret);
});

test("a network's error that names the key", async () => {
  const { failure } = await got("vllm", { answers: (request) => Promise.reject(new Error(String(request.headers.get("authorization")))) });
  expect(failure).toMatchObject({ code: "engine_unavailable", retryable: true });
  expect(JSON.stringify(failure)).not.toContain(replicaKey);
});
