import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { factsOf, refused, type FakeResponse, type FakeSession } from "./fake-sessions.ts";

/** What a test wants to go wrong, or to wait for, while documents come. */
export interface ContextScript {
  /** Breaks the connection after this many chunks more, before the answer to the last of them. */
  cutAfterChunks: number;
  /** What reading waits for before its end. */
  readGate: Promise<unknown> | null;
  /** Offsets of the chunks so far. */
  readonly offsets: number[];
}

/** `PUT /v1/contexts/{id}/text`; null where the connection was broken. */
export async function appendText(
  context: FakeSession,
  request: IncomingMessage,
  url: URL,
  script: ContextScript,
): Promise<FakeResponse | null> {
  const { ingest } = context;
  if (ingest === null) return refused(404, "context_not_found", "No such context.");
  const offset = Number(url.searchParams.get("offset"));
  script.offsets.push(offset);
  if (offset !== ingest.received_bytes) return refused(409, "conflict", `The text so far ends at ${ingest.received_bytes}.`);
  for await (const chunk of request as AsyncIterable<Buffer>) {
    context.text += chunk.toString("latin1");
    ingest.received_bytes += chunk.length;
  }
  if (url.searchParams.get("last") === "true") {
    ingest.stage = "reading";
    ingest.tokens = Math.ceil(ingest.received_bytes / 4);
  }
  script.cutAfterChunks -= 1;
  if (script.cutAfterChunks === 0) {
    request.socket.destroy();
    return null;
  }
  return { status: 200, body: factsOf(context) };
}

/** `GET /v1/contexts/{id}/events`: half is read at once, the rest after the script's gate. */
export async function followContext(context: FakeSession, response: ServerResponse, script: ContextScript): Promise<void> {
  const { ingest } = context;
  response.writeHead(200, { "content-type": "text/event-stream" });
  while (ingest?.stage === "uploading") await sleep(10);
  if (ingest?.stage === "reading") {
    ingest.read_tokens = Math.floor(ingest.tokens / 2);
    response.write(`data: ${JSON.stringify(factsOf(context))}\n\n`);
    await script.readGate;
    ingest.read_tokens = ingest.tokens;
    ingest.stage = "ready";
  }
  response.end(`data: ${JSON.stringify(factsOf(context))}\n\ndata: [DONE]\n\n`);
}
