/**
 * The texts of an isolate that are held to constraints, over one instance of the library. A text is a function of its constraint and its tokens: when
 * the instance has trapped, whoever's grammar it was, each is made again in the next one as soon as it is asked for.
 */
import { constraintRefusalOf, type Constraint, type GrammarStep } from "../contracts/constraint.ts";
import { ServiceError } from "../contracts/errors.ts";
import { parseExact } from "../encoding/exact-json.ts";
import { notHeldTo, tooManyTexts } from "./failures.ts";
import { beyondLarkLimits } from "./lark-limits.ts";
import { beyondLimits } from "./schema-limits.ts";
import { begin, tried, tryOut } from "./trial.ts";
import { byteTokens, GrammarExhaustion, GrammarRefusal, GrammarTrap, WasmGrammar, type TextTokens } from "./wasm-grammar.ts";

/** Of an isolate's 128 MB, with tokenizers and their texts beside them. An instance that is larger makes room for a new one when nothing needs it. */
const mostBytes = 80 << 20;
const usualBytes = 48 << 20;
/** Enough to say of a grammar that it can be held to. */
const mostTriedBytes = 24 << 20;
const usualTriedBytes = 6 << 20;
const mostTexts = 128;

/** The library's words for it. */
const tooManyPlaces = /too many (states|expressions)/;
const tooMuch = "it takes more of the library's memory or stack than there is";
const tooMuchWork = "it takes more of the library's work than a grammar, or a step of its text, may take";

export class GrammarTexts {
  readonly #code: WebAssembly.Module;
  #instance: WasmGrammar | undefined;
  /** Where grammars are tried: what traps there takes nobody's text along. */
  #trying: WasmGrammar | undefined;
  /** Numbers of the tokenizers that the instance has, by their digests. */
  readonly #numbers = new Map<string, number>();
  #count = 0;
  /** Instances made for texts. */
  instances = 0;

  constructor(code: WebAssembly.Module) {
    this.#code = code;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws ServiceError that says why it can't be held to, or why an answer would break off. */
  check(constraint: Constraint): void {
    this.#try(constraint, tryOut);
  }

  #try(constraint: Constraint, use: (grammar: WasmGrammar, constraint: Constraint) => void): void {
    const invalid = constraintRefusalOf(constraint);
    if (invalid !== undefined) throw new ServiceError(invalid);
    const beyond = beyondKindsLimits(constraint);
    if (beyond !== undefined) throw new ServiceError(notHeldTo(beyond));
    try {
      const grammar = (this.#trying ??= tryingInstance(this.#code));
      use(grammar, constraint);
    } catch (cause) {
      throw refusalOf(cause);
    } finally {
      if (this.#trying !== undefined && (this.#trying.isTrapped || this.#trying.memoryBytes > usualTriedBytes)) this.#trying = undefined;
    }
  }

  /** A text of these tokens so far. @throws ServiceError where it can't be held to its constraint, or there are too many. */
  open(constraint: Constraint, tokenizer: TextTokenizer, tokens: Uint32Array): { readonly text: Text; readonly step: GrammarStep } {
    if (this.#count >= mostTexts) throw new ServiceError(tooManyTexts(mostTexts));
    // Answers are asked for by those who have had it checked: only that what traps takes nobody's text along is left to see to.
    this.#try(constraint, begin);
    const text = new Text(this, constraint, tokenizer);
    this.#count += 1;
    try {
      return { text, step: text.accept(tokens) };
    } catch (cause) {
      text.close();
      throw cause;
    }
  }

  /** The instance that works now, with this tokenizer. */
  instanceFor({ digest, tokens }: TextTokenizer): { readonly grammar: WasmGrammar; readonly number: number } {
    const isInTheWay = this.#instance?.isTrapped === true || (this.#count <= 1 && (this.#instance?.memoryBytes ?? 0) > usualBytes);
    if (this.#instance === undefined || isInTheWay) {
      this.#instance = new WasmGrammar(this.#code, mostBytes);
      this.instances += 1;
      this.#numbers.clear();
    }
    const number = this.#numbers.get(digest) ?? this.#numbers.size + 1;
    if (!this.#numbers.has(digest)) this.#instance.addTokenizer(number, tokens());
    this.#numbers.set(digest, number);
    return { grammar: this.#instance, number };
  }

  closed(): void {
    this.#count -= 1;
  }
}

export interface TextTokenizer {
  /** The same for the same tokens. */
  readonly digest: string;
  readonly tokens: () => TextTokens;
}

/** One text, from whichever instance. */
export class Text {
  readonly #texts: GrammarTexts;
  readonly #constraint: Constraint;
  readonly #tokenizer: TextTokenizer;
  readonly #tokens: number[] = [];
  #at: { readonly grammar: WasmGrammar; readonly handle: number } | undefined;
  #isClosed = false;

  constructor(texts: GrammarTexts, constraint: Constraint, tokenizer: TextTokenizer) {
    this.#texts = texts;
    this.#constraint = constraint;
    this.#tokenizer = tokenizer;
  }

  /** @throws ServiceError where the tokens lead out of the constraint, or the next ones can't be told. */
  accept(tokens: Uint32Array): GrammarStep {
    const step = this.#step((grammar, handle) => grammar.accept(handle, tokens));
    this.#tokens.push(...tokens, ...step.forced);
    return step;
  }

  /** @throws ServiceError where there are not so many. */
  rollback(count: number): GrammarStep {
    if (!Number.isInteger(count) || count < 0 || count > this.#tokens.length)
      throw new ServiceError(notHeldTo(`only ${String(this.#tokens.length)} tokens can be taken back`));
    const step = this.#step((grammar, handle) => grammar.rollback(handle, count));
    this.#tokens.length -= count;
    this.#tokens.push(...step.forced);
    return step;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#texts.closed();
    this.#letGo();
  }

  #letGo(): void {
    this.#at?.grammar.close(this.#at.handle);
    this.#at = undefined;
  }

  /**
   * Once more in a new instance where the old one has trapped: it may have been another text's doing. And once more where the library has looked at
   * more places in the text than it keeps: most of them were ways that the text did not take, which a text that is made again knows nothing of.
   */
  #step(take: (grammar: WasmGrammar, handle: number) => GrammarStep): GrammarStep {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { grammar, handle } = this.#opened();
        return take(grammar, handle);
      } catch (cause) {
        const isRepeated = cause instanceof GrammarTrap || (cause instanceof GrammarRefusal && tooManyPlaces.test(cause.message));
        if (!isRepeated || attempt === 2) throw refusalOf(cause);
        this.#letGo();
      }
    }
  }

  #opened(): { readonly grammar: WasmGrammar; readonly handle: number } {
    if (this.#isClosed) throw new GrammarRefusal("the text is closed");
    if (this.#at?.grammar.isTrapped === false) return this.#at;
    const { grammar, number } = this.#texts.instanceFor(this.#tokenizer);
    const handle = grammar.open(number, this.#constraint);
    this.#at = { grammar, handle };
    if (this.#tokens.length > 0) grammar.accept(handle, Uint32Array.from(this.#tokens));
    return this.#at;
  }
}

function tryingInstance(code: WebAssembly.Module): WasmGrammar {
  const grammar = new WasmGrammar(code, mostTriedBytes);
  grammar.addTokenizer(tried, byteTokens);
  return grammar;
}

function beyondKindsLimits({ kind, text }: Constraint): string | undefined {
  if (kind === "lark") return beyondLarkLimits(text);
  return kind === "json_schema" ? beyondLimits(parseExact(text)) : undefined;
}

function refusalOf(cause: unknown): ServiceError {
  if (cause instanceof GrammarRefusal) return new ServiceError(notHeldTo(cause.message), { cause });
  if (cause instanceof GrammarExhaustion) return new ServiceError(notHeldTo(tooMuchWork), { cause });
  if (cause instanceof GrammarTrap) return new ServiceError(notHeldTo(tooMuch), { cause });
  throw cause;
}
