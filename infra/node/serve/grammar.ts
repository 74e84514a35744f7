/** The grammar service in this process, for the engine beside it; the gateway has the grammar Worker. */
import { readFileSync } from "node:fs";
import { internalFailure } from "../../../workers/contracts/call.ts";
import type { GrammarService } from "../../../workers/contracts/constraint.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { ServiceError } from "../../../workers/contracts/errors.ts";
import type { TokenizerFile } from "../../../workers/contracts/model-files.ts";
import { GrammarTexts, type Text } from "../../../workers/grammar/texts.ts";
import { tokensOf } from "../../../workers/grammar/wasm-grammar.ts";
import { describeCause, logLine } from "../../../workers/observe/log-line.ts";
import { Tokenizer } from "../../../workers/tokenizer/tokenizer.ts";
import { inRepository } from "../../local/paths.ts";

/** Node's types know the interfaces of WebAssembly, not its functions. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { compile(bytes: Uint8Array): Promise<ConstructorParameters<typeof GrammarTexts>[0]> };
};

/** For texts of the one model that is served. */
export async function grammarOf(file: TokenizerFile): Promise<GrammarService> {
  const texts = new GrammarTexts(await WebAssembly.compile(readFileSync(inRepository("wasm/pkg/grammar/grammar.wasm"))));
  const tokenizer = Tokenizer.fromTokenizerFile(file);
  return {
    check: (constraint) =>
      outcomeOf(() => {
        texts.check(constraint);
        return null;
      }),
    open: ({ constraint, tokenizerDigest, vocabularySize, tokens }) =>
      outcomeOf(() => {
        const ofModel = {
          digest: `${tokenizerDigest} ${String(vocabularySize)}`,
          tokens: () => tokensOf(tokenizer, vocabularySize, file.eosTokenIds),
        };
        const { text, step } = texts.open(constraint, ofModel, tokens);
        return { matcher: matcherOf(text), step };
      }),
  };
}

const matcherOf = (text: Text) => ({
  accept: (tokens: Uint32Array) => outcomeOf(() => text.accept(tokens)),
  rollback: (tokens: number) => outcomeOf(() => text.rollback(tokens)),
  [Symbol.dispose]: () => {
    text.close();
  },
});

function outcomeOf<T>(make: () => T): Promise<Outcome<T>> {
  try {
    return Promise.resolve({ ok: true, value: make() });
  } catch (cause) {
    if (cause instanceof ServiceError) return Promise.resolve({ ok: false, failure: cause.failure });
    logLine("error", "grammar_defect", { cause: describeCause(cause) });
    return Promise.resolve({ ok: false, failure: internalFailure });
  }
}
