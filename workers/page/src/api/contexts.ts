/** The client of `/v1/contexts`: documents that are read once, and that many conversations start from. */
import { connectionFailure, FailureError, failureFromError, record, type Failure } from "./failure.ts";
import { readEventStream } from "./event-stream.ts";
import { listAll } from "./list.ts";
import { deleteIfThere, request, requestRecord } from "./request.ts";
import { sessionFacts } from "./sessions.ts";

export interface ContextFacts {
  readonly id: string;
  readonly name: string;
  /** The model that reads it, and that answers what is asked about it. */
  readonly model: string;
  readonly stage: "uploading" | "reading" | "ready" | "failed";
  /** UTF-8 bytes that have arrived: where an upload goes on. */
  readonly receivedBytes: number;
  readonly tokens: number;
  readonly readTokens: number;
  /** Why it failed. */
  readonly failure: Failure | null;
}

export async function createContext(model: string, name: string, signal: AbortSignal): Promise<ContextFacts> {
  return contextFacts(await requestRecord("/v1/contexts", { method: "POST", json: { model, name }, signal }));
}

export async function fetchContext(id: string, signal: AbortSignal): Promise<ContextFacts> {
  return contextFacts(await requestRecord(contextPath(id), { signal }));
}

/** Newest first. */
export async function listContexts(signal: AbortSignal): Promise<ContextFacts[]> {
  return (await listAll("/v1/contexts", "id", signal)).map(contextFacts);
}

/** Appends a chunk of the text; `offset` is where the text so far ends. */
export async function appendContext(id: string, offset: number, chunk: Blob, last: boolean, signal: AbortSignal): Promise<ContextFacts> {
  const path = `${contextPath(id)}/text?offset=${offset}&last=${String(last)}`;
  const headers = { "content-type": "text/plain; charset=utf-8" };
  return contextFacts(await requestRecord(path, { method: "PUT", body: chunk, headers, signal }));
}

/** What it is like whenever that changes, to its good or bad end. */
export async function* followContext(id: string, signal: AbortSignal): AsyncGenerator<ContextFacts, void, undefined> {
  const { body, status } = await request(`${contextPath(id)}/events`, { signal });
  if (body === null) throw new FailureError({ kind: "protocol", status });
  try {
    for await (const { data } of readEventStream(body)) {
      if (data === "[DONE]") return;
      yield contextFacts(parsed(data));
    }
  } catch (cause) {
    if (signal.aborted || cause instanceof FailureError) throw cause;
    throw new FailureError(connectionFailure(navigator.onLine), { cause });
  }
  throw new FailureError({ kind: "cut" });
}

export async function deleteContext(id: string, signal: AbortSignal): Promise<void> {
  await deleteIfThere(contextPath(id), signal);
}

function contextPath(id: string): string {
  return `/v1/contexts/${encodeURIComponent(id)}`;
}

function contextFacts(value: unknown): ContextFacts {
  const { id, name, model } = sessionFacts(value);
  const ingest = record(record(value)?.["ingest"]) ?? {};
  const { stage } = ingest;
  const [receivedBytes, tokens, readTokens] = [ingest["received_bytes"], ingest["tokens"], ingest["read_tokens"]].map((count) =>
    typeof count === "number" ? count : 0,
  );
  const message = record(ingest["error"])?.["message"];
  return {
    id,
    name,
    model,
    stage: stage === "uploading" || stage === "reading" || stage === "failed" ? stage : "ready",
    receivedBytes: receivedBytes ?? 0,
    tokens: tokens ?? 0,
    readTokens: readTokens ?? 0,
    failure: stage === "failed" ? { kind: "server", ...(typeof message === "string" ? { message } : {}) } : null,
  };
}

function parsed(data: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new FailureError({ kind: "protocol" }, { cause });
  }
  const event = record(value);
  if (event === undefined) throw new FailureError({ kind: "protocol" });
  if (event["error"] !== undefined) throw new FailureError(failureFromError(event));
  return event;
}
