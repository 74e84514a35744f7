/** The grammar Worker: no public routes, only the RPC surface that the gateway and the engine Worker are bound to. */
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import code from "../../wasm/pkg/grammar/grammar.wasm";
import { internalFailure } from "../contracts/call.ts";
import type { Constraint, GrammarOrder, GrammarService, GrammarStep, OpenedText, TextMatcher } from "../contracts/constraint.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { ModelAssets } from "../models/catalog.ts";
import { modelOfVersion } from "../models/served-model.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { GrammarTexts, type Text } from "./texts.ts";
import { tokensOf } from "./wasm-grammar.ts";

/** Of the isolate. */
const texts = new GrammarTexts(code);

interface GrammarEnvironment extends ModelAssets {
  /** Static assets: each model's card and tokenizer. */
  readonly ASSETS: ModelAssets["ASSETS"];
}

export class GrammarEntrypoint extends WorkerEntrypoint<GrammarEnvironment> implements GrammarService {
  check(constraint: Constraint): Promise<Outcome<null>> {
    return outcomeOf(() => {
      texts.check(constraint);
      return null;
    });
  }

  open({ constraint, model, tokenizerDigest, vocabularySize, tokens }: GrammarOrder): Promise<Outcome<OpenedText>> {
    return outcomeOf(async () => {
      const { tokenizer, stopTokens } = await modelOfVersion(this.env, { id: model, digest: "", tokenizerDigest });
      const ofModel = {
        digest: `${tokenizerDigest} ${String(vocabularySize)}`,
        tokens: () => tokensOf(tokenizer, vocabularySize, stopTokens),
      };
      const { text, step } = texts.open(constraint, ofModel, tokens);
      const { promise: released, resolve: onRelease } = Promise.withResolvers<null>();
      // The runtime ends a call's context with the last stub of what it gave, and tells that nothing of it unless something still goes on in there.
      this.ctx.waitUntil(released);
      return { matcher: new Matcher(text, () => onRelease(null)), step };
    });
  }
}

/** Lives as long as the caller holds it. */
class Matcher extends RpcTarget implements TextMatcher {
  readonly #text: Text;
  readonly #onRelease: () => void;

  constructor(text: Text, onRelease: () => void) {
    super();
    this.#text = text;
    this.#onRelease = onRelease;
  }

  accept(tokens: Uint32Array): Promise<Outcome<GrammarStep>> {
    return outcomeOf(() => this.#text.accept(tokens));
  }

  rollback(tokens: number): Promise<Outcome<GrammarStep>> {
    return outcomeOf(() => this.#text.rollback(tokens));
  }

  [Symbol.dispose](): void {
    this.#text.close();
    this.#onRelease();
  }
}

async function outcomeOf<T>(make: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await make() };
  } catch (cause) {
    if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
    logLine("error", "grammar_defect", { cause: describeCause(cause) });
    return { ok: false, failure: internalFailure };
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
