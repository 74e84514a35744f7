/** The session Worker's configuration for the scripted stack, made from its own so that the two cannot differ. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { inRepository } from "../../../infra/local/paths.ts";
import { sessionConfiguration } from "../../../infra/local/stack.ts";

/** Short, so that a test need not wait for it, and longer than a busy machine's pauses. */
const graceSeconds = "0.5";

/** Around another entry, a tiny model and a key for tests only; `keepSeconds` is how long a stream can be read again. */
export function sessionToml(keepSeconds?: number): string {
  const changes: readonly (readonly [RegExp, string])[] = [
    [/^main = ".*"$/m, `main = "${inRepository("test/edge/scripted/worker/session.ts")}"`],
    [
      /^STREAM_GRACE_SECONDS = ".*"$/m,
      `STREAM_GRACE_SECONDS = "${graceSeconds}"\nSTATE_KEYS = "1:${Buffer.alloc(32, 7).toString("base64")}"`,
    ],
    ...(keepSeconds === undefined ? [] : [[/^STREAM_KEEP_SECONDS = ".*"$/m, `STREAM_KEEP_SECONDS = "${String(keepSeconds)}"`] as const]),
    [/^\[assets\][^[]*/m, '[[services]]\nbinding = "ASSETS"\nservice = "spikingbrain-gateway"\nentrypoint = "FixtureAssets"\n\n'],
  ];
  const toml = changes.reduce(
    (text, [pattern, replacement]) => {
      if (!pattern.test(text)) throw new Error(`${sessionConfiguration} must hold a line like ${String(pattern)}; it does not.`);
      return text.replace(pattern, replacement);
    },
    readFileSync(inRepository(sessionConfiguration), "utf8"),
  );
  const path = "dist/scripted-session.toml";
  mkdirSync(inRepository("dist"), { recursive: true });
  writeFileSync(inRepository(path), toml);
  return path;
}
