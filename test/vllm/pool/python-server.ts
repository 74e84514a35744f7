/** A server of vLLM's environment, as a process. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { vllmPython } from "../../../infra/local/python/setup-python.ts";
import { until } from "../../../workers/waiting/within.ts";

export interface ServerPlace {
  /** Of its log and its temporary files. */
  readonly folder: string;
  readonly port: string;
  readonly key: string;
  readonly environment: Readonly<Record<string, string>>;
  /** A path that answers 200 once it can be asked. */
  readonly ready: string;
}

const startMilliseconds = 400_000;
const shownOfLog = 4000;

export class PythonServer {
  readonly url: string;
  readonly #place: ServerPlace;
  readonly #process: ChildProcess;
  readonly #log: string;

  constructor(place: ServerPlace, options: readonly string[]) {
    const { folder, port, environment } = place;
    this.url = `http://127.0.0.1:${port}`;
    this.#place = place;
    this.#log = join(folder, `log-${port}`);
    const log = openSync(this.#log, "w");
    const env = { ...process.env, ...environment, TMPDIR: folder };
    // A group of its own, so that its engine's processes end with it.
    this.#process = spawn(vllmPython, options, { env, stdio: ["ignore", log, log], detached: true });
  }

  /** @throws Error with the end of its log where it ends, or takes too long. */
  async ready(): Promise<void> {
    const { key, ready } = this.#place;
    const look = async () => {
      if (this.#process.exitCode !== null) throw new Error(`it has ended: ${this.#said()}`);
      const answer = await fetch(`${this.url}${ready}`, { headers: { authorization: `Bearer ${key}` } }).catch(() => undefined);
      await answer?.body?.cancel();
      return answer?.status === 200 ? true : undefined;
    };
    await until(look, { milliseconds: startMilliseconds, everyMilliseconds: 200 }, () => {
      throw new Error(`it is not ready: ${this.#said()}`);
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.pid === undefined) return;
    const exit = once(this.#process, "exit");
    process.kill(-this.#process.pid, "SIGKILL");
    await exit;
  }

  #said(): string {
    return readFileSync(this.#log, "utf8").slice(-shownOfLog);
  }
}
