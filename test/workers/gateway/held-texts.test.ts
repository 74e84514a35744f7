/** Texts that are held to constraints, over RPC in the real runtime: one that is let go of makes room for another. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { GrammarService, GrammarStep } from "../../../workers/contracts/constraint.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { HeldText } from "../../../workers/engine/held-text.ts";
import { tinyManifest, tinyTokenizer } from "../support/tiny-tokenizer.ts";

const { GRAMMAR: grammar } = env as unknown as { readonly GRAMMAR: GrammarService };

const order = {
  constraint: { kind: "choice", text: '["yes","no"]' },
  model: tinyManifest.id,
  tokenizerDigest: tinyManifest.tokenizerSha256,
  vocabularySize: tinyTokenizer.tokens.length,
  tokens: new Uint32Array(),
} as const;

/** As an answer of the engine has one: until its first step, and then no longer. */
async function held(): Promise<Outcome<GrammarStep>> {
  return await new Promise((resolve) => {
    const text = new HeldText(grammar, order, {
      sleep: () => Promise.resolve(),
      onSaid(said) {
        text.close();
        resolve(said);
      },
    });
    text.open();
  });
}

/** More than the grammar Worker follows at once. */
const answers = 130;
const timeoutMilliseconds = 120_000;

test(
  "more answers than may be held at once come one after another",
  async () => {
    for (let at = 0; at < answers; at += 1) expect(await held(), `answer ${String(at)}`).toMatchObject({ ok: true });
  },
  timeoutMilliseconds,
);
