/** The engine of `spikingbrain serve`: the scheduler that the engine Worker has, over an engine in this process, answering the Workers over HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { GrammarService } from "../../../workers/contracts/constraint.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { EngineLoad } from "../../../workers/contracts/engine.ts";
import { submitWithState } from "../../../workers/contracts/request/open-state.ts";
import { failureOf } from "../../../workers/engine/failures.ts";
import { produceOneToken, type LoadedModel } from "../../../workers/engine/described-model.ts";
import { Scheduler } from "../../../workers/engine/scheduler.ts";
import { decodeFront, paths, secretHeader, streamType } from "./wire.ts";

export interface EngineServer {
  /** `http://127.0.0.1:PORT`. */
  readonly address: string;
  close(): Promise<void>;
}

export interface EngineServerOptions {
  /** Whoever has it may use the engine. */
  readonly secret: string;
  /** Without it no answer is held to a constraint. */
  readonly grammar?: GrammarService;
  /** The engine failed unexpectedly; it can't be trusted with anything more. */
  readonly onDefect: (error: unknown) => void;
}

export async function startEngineServer(model: LoadedModel, { secret, grammar, onDefect }: EngineServerOptions): Promise<EngineServer> {
  const { engine, description } = model;
  const scheduler = new Scheduler(engine, description, {
    waitUntil: (promise) => {
      promise.catch(onDefect);
    },
    now: Date.now,
    grammar,
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    // Nothing bounds the time of this process.
    renew: () => undefined,
    onDefect,
  });
  const load = (): EngineLoad => ({
    loaded: true,
    running: scheduler.running,
    waiting: scheduler.waiting,
    freeStateBytes: engine.freeStateBytes(),
    generatedTokens: scheduler.generatedTokens,
  });
  const ready = async (): Promise<null> => {
    if (scheduler.generatedTokens === 0) await produceOneToken(model);
    return null;
  };
  const calls = new Map<string, () => unknown>([
    [
      paths.models,
      () => [{ ...description, abilities: description.abilities.filter((one) => one !== "constraints" || grammar !== undefined) }],
    ],
    [paths.ready, ready],
    [paths.load, load],
  ]);
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else outcome(response, { ok: false, failure: failureOf(error) });
    });
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isSecret(request.headers[secretHeader], secret)) {
      response.writeHead(403).end();
      return;
    }
    const call = calls.get(request.url ?? "");
    if (call !== undefined) {
      outcome(response, { ok: true, value: await call() });
      return;
    }
    if (request.url !== paths.generate) {
      response.writeHead(404).end();
      return;
    }
    await generate(scheduler, request, response);
  };
  const address = await listening(server);
  return {
    address,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

async function generate(scheduler: Scheduler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { request: front, rest } = await decodeFront(Readable.toWeb(request) as ReadableStream<Uint8Array>);
  const { resume, ...asked } = front;
  const state = {
    open: () => Promise.resolve({ ok: true, value: rest } as const),
    tokens: () => Promise.reject(new Error("the engine reads no state's tokens")),
  };
  const submitted = await submitWithState(scheduler, resume === undefined ? asked : { ...asked, resume: { ...resume, state } });
  if (!submitted.ok) {
    outcome(response, submitted);
    return;
  }
  response.writeHead(200, { "content-type": streamType });
  response.flushHeaders();
  // A reader that goes away cancels the stream, which ends the work.
  await pipeline(Readable.fromWeb(submitted.value as Parameters<typeof Readable.fromWeb>[0]), response).catch(() => undefined);
}

function outcome(response: ServerResponse, value: Outcome<unknown>): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function isSecret(given: string | string[] | undefined, secret: string): boolean {
  const [found, due] = [new TextEncoder().encode(String(given)), new TextEncoder().encode(secret)];
  return found.length === due.length && timingSafeEqual(found, due);
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}
