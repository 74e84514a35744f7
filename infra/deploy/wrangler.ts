/** wrangler, the pinned one, as a program: with the operator's own login or CLOUDFLARE_API_TOKEN. */
import { inRepository } from "../local/paths.ts";
import { capture, runAndCapture } from "../local/run.ts";

export interface WranglerOptions {
  /** Whether what it prints is shown too. */
  readonly show?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface WranglerResult {
  readonly status: number | null;
  readonly output: string;
}

export type Wrangler = (args: readonly string[], options?: WranglerOptions) => Promise<WranglerResult>;

/** No questions, no telemetry. */
const quiet = { CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_SEND_ERROR_REPORTS: "false", WRANGLER_HIDE_BANNER: "true" };

export const wrangler: Wrangler = async (args, { show = false, environment = {} } = {}) =>
  await (show ? runAndCapture : capture)(process.execPath, [inRepository("node_modules/wrangler/bin/wrangler.js"), ...args], {
    env: { ...quiet, ...environment },
  });

/** The JSON in what it prints, warnings around it aside. @throws Error with what it printed where it failed or there is none. */
export async function wranglerJson(run: Wrangler, args: readonly string[]): Promise<unknown> {
  const { status, output } = await run(args);
  if (status !== 0) throw new Error(`\`wrangler ${args.join(" ")}\` failed:\n${output.trim()}`);
  const [json] = /^[[{](?:[\s\S]*[\]}]|[\]}])$/m.exec(output) ?? [];
  if (json === undefined) throw new Error(`\`wrangler ${args.join(" ")}\` must print JSON; it printed:\n${output.trim()}`);
  return JSON.parse(json) as unknown;
}
