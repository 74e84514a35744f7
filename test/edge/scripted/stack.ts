/** Starts the whole stack over HTTP with the scripted engine: what lies between the layers is as in `npm start`. */
import { afterAll, beforeAll } from "vitest";
import { configurationsWith, startStack, type Stack } from "../../../infra/local/stack.ts";
import type { EngineLoad } from "../../../workers/contracts/engine.ts";
import type { BackendScript } from "../../workers/support/toy-backend.ts";
import { sessionToml } from "./session-toml.ts";
import { freePort } from "../../../infra/local/free-port.ts";

const readyTimeoutMilliseconds = 180_000;

export interface ScriptedStack {
  readonly url: string;
  use(script: BackendScript): Promise<void>;
  load(): Promise<EngineLoad>;
  /** The object that runs this stream dies. */
  lose(stream: string): Promise<void>;
  post(path: string, body: object, init?: RequestInit): Promise<Response>;
  /** `whileDown` runs between its end and its next start. */
  restart(whileDown: () => void | Promise<void>): Promise<void>;
}

export interface ScriptedOptions {
  /** Folder that objects are kept in; wrangler's own where left out. */
  readonly persistTo?: string;
  /** How long a stream can be read again. */
  readonly keepSeconds?: number;
  readonly onOutput?: (text: string) => void;
}

/** For all tests of a file; `variables` are the gateway's. */
export function useScriptedStack(variables: Readonly<Record<string, string>> = {}, options: ScriptedOptions = {}): ScriptedStack {
  let stack: Stack | undefined;
  const start = async () => {
    const { keepSeconds, persistTo, onOutput } = options;
    const session = sessionToml(keepSeconds);
    stack = await startStack({
      port: await freePort(),
      configurations: configurationsWith({
        gateway: "test/edge/scripted/worker/gateway.toml",
        session,
        engine: "test/edge/scripted/worker/engine.toml",
      }),
      variables,
      onOutput: onOutput ?? ((text) => process.stderr.write(text)),
      ...(persistTo === undefined ? {} : { persistTo }),
    });
    await stack.untilReady(readyTimeoutMilliseconds);
  };
  beforeAll(start, readyTimeoutMilliseconds);
  afterAll(async () => await stack?.stop());

  const url = () => stack?.url ?? "";
  const control = async (path: string, body: string) => {
    const response = await fetch(`${url()}/scripted/${path}`, { method: "POST", body });
    if (!response.ok) throw new Error(`/scripted/${path}: ${await response.text()}`);
    return response;
  };
  return {
    get url() {
      return url();
    },
    use: async (script) => {
      await control("use", JSON.stringify(script));
    },
    load: async () => (await (await control("load", "")).json()) as EngineLoad,
    restart: async (whileDown) => {
      await stack?.stop();
      await whileDown();
      await start();
    },
    lose: async (stream) => {
      await control("lose", stream);
    },
    post: (path, body, init = {}) =>
      fetch(`${url()}${path}`, {
        ...init,
        method: "POST",
        headers: { "content-type": "application/json", ...(init.headers as Record<string, string> | undefined) },
        body: JSON.stringify(body),
      }),
  };
}
