/** Workers as small as a test needs them, and a wrangler that does what a script says. */
import type { Worker } from "../../../infra/deploy/workers.ts";
import type { Wrangler, WranglerOptions } from "../../../infra/deploy/wrangler.ts";

export function worker(role: string, raw: Worker["raw"] = {}, source = ""): Worker {
  const name = `spikingbrain-${role}`;
  const folder = `/repository/workers/${role}`;
  return { role, name, configuration: `workers/${role}/wrangler.toml`, folder, raw: { name, main: "index.ts", ...raw }, source };
}

export interface Call {
  readonly args: readonly string[];
  readonly options: WranglerOptions;
}

/** Answers by the beginning of a command; what it has no answer for succeeds and prints nothing. */
export function fakeWrangler(answers: Readonly<Record<string, (call: Call) => string | Promise<string>>>): {
  readonly run: Wrangler;
  readonly calls: string[];
} {
  const calls: string[] = [];
  const run: Wrangler = async (args, options = {}) => {
    const command = args.join(" ");
    calls.push(command);
    const [, answer] = Object.entries(answers).find(([beginning]) => command.startsWith(beginning)) ?? [];
    try {
      return { status: 0, output: (await answer?.({ args, options })) ?? "" };
    } catch (cause) {
      return { status: 1, output: cause instanceof Error ? cause.message : String(cause) };
    }
  };
  return { run, calls };
}

export function fails(output: string): () => never {
  return () => {
    throw new Error(output);
  };
}
