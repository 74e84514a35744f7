/** The command line of `npm run deploy`. */
import { parseArgs } from "node:util";

export interface DeployOptions {
  /** Everything but what asks or changes Cloudflare. */
  readonly dryRun: boolean;
  /** Back to each Worker's version before this one. */
  readonly rollback: boolean;
  /** Path of the file that `settings-file.ts` reads. */
  readonly settings: string | undefined;
  /** Path of the file that `secrets.ts` reads. */
  readonly secrets: string | undefined;
}

export const usage = "npm run deploy -- [--settings FILE] [--secrets FILE] [--dry-run | --rollback]";

/** @throws Error that names what is wrong. */
export function deployOptions(args: readonly string[]): DeployOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "dry-run": { type: "boolean", default: false },
        rollback: { type: "boolean", default: false },
        settings: { type: "string" },
        secrets: { type: "string" },
      },
    });
    const { "dry-run": dryRun, rollback, settings, secrets } = values;
    if (dryRun && rollback) throw new Error("--dry-run and --rollback exclude one another.");
    return { dryRun, rollback, settings, secrets };
  } catch (cause) {
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\nUsage: ${usage}`, { cause });
  }
}
