/**
 * One instance of the grammar library (`wasm/grammar`), and what lies in the bytes that go in and out. An instance that has trapped, which a
 * hostile grammar may bring about, is of no use any more; the code that it is made of can be instantiated again.
 */
import type { Constraint, GrammarStep } from "../contracts/constraint.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

interface GrammarExports {
  readonly input: (length: number) => number;
  readonly output: () => number;
  readonly output_length: () => number;
  readonly add_tokenizer: (number: number, vocabulary: number) => number;
  readonly open: (tokenizer: number) => number;
  readonly accept: (text: number) => number;
  readonly rollback: (text: number, count: number) => number;
  readonly close: (text: number) => void;
  /** What a call may still take (`infra/wasm-meter.ts`). */
  readonly work: { value: number };
}

/** The library's word for why it does not take something. */
export class GrammarRefusal extends Error {
  override readonly name = "GrammarRefusal";
}

/** The instance has trapped. */
export class GrammarTrap extends Error {
  override readonly name = "GrammarTrap";
}

/** What was asked for took more of the instance's work than it may; the instance has trapped by it. */
export class GrammarExhaustion extends Error {
  override readonly name = "GrammarExhaustion";
}

/**
 * What calls may take of the instance's work, in iterations of its loops (`infra/wasm-meter.ts`): a million take about a millisecond. A step takes up to
 * some 300,000 with a model's tokens, its tokens one by one not counted, and a compilation 100,000: two million of the largest of 1,571 public schemas.
 */
export const mostWork = { open: 40_000_000, step: 30_000_000, token: 100_000 } as const;
const withoutBound = 2 ** 31 - 1;

/** What of a tokenizer texts are made of. */
export interface TextTokens {
  readonly size: number;
  /** Ids that end a text. */
  readonly ends: readonly number[];
  /** Empty for a token that no text is made of. */
  readonly bytes: (id: number) => Uint8Array;
  readonly encode: (text: string) => Uint32Array;
}

/** Not all of its types are known where the Workers' are not. */
const { Memory, Instance } = (
  globalThis as unknown as {
    readonly WebAssembly: {
      readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => { readonly buffer: ArrayBuffer };
      readonly Instance: new (code: WebAssembly.Module, imports: object) => { readonly exports: unknown };
    };
  }
).WebAssembly;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const longestToken = 2 ** 16 - 1;
const pageBytes = 65_536;
/** What the code has before anything is asked of it (`infra/build-grammar.ts`). */
const leastPages = 64;

/** Tokens of a model with so many ids, some of which its tokenizer may not have. Special tokens are none of a text's: no grammar reaches them. */
export function tokensOf(tokenizer: Tokenizer, vocabularySize: number, ends: readonly number[]): TextTokens {
  return {
    size: vocabularySize,
    ends,
    bytes: (id) => (id >= tokenizer.vocabularySize || tokenizer.isSpecial(id) ? new Uint8Array() : tokenizer.tokenBytes(id)),
    encode: (text) => tokenizer.encode(text),
  };
}

const isLetter = (byte: number | undefined): byte is number => byte !== undefined && byte >= 0x61 && byte <= 0x7a;
const firstPair = 257;

/**
 * One token a byte, and one for two letters of the alphabet, as longer tokens lead to more places than bytes do: enough to say whether a grammar can be
 * held to, in a tenth of a millisecond.
 */
export const byteTokens: TextTokens = {
  size: firstPair + 26 * 26,
  ends: [256],
  bytes(id) {
    if (id < 256) return Uint8Array.of(id);
    return id < firstPair ? new Uint8Array() : Uint8Array.of(0x61 + Math.floor((id - firstPair) / 26), 0x61 + ((id - firstPair) % 26));
  },
  encode(text) {
    const ids: number[] = [];
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length; at += 1) {
      const [first = 0, second] = bytes.subarray(at, at + 2);
      const isPair = isLetter(first) && isLetter(second);
      ids.push(isPair ? firstPair + 26 * (first - 0x61) + (second - 0x61) : first);
      if (isPair) at += 1;
    }
    return Uint32Array.from(ids);
  },
};

export class WasmGrammar {
  readonly #exports: GrammarExports;
  readonly #memory: InstanceType<typeof Memory>;
  readonly #encoders = new Map<number, TextTokens["encode"]>();
  #isTrapped = false;
  #granted = 0;

  /** What would take more memory than so many bytes traps. */
  constructor(code: WebAssembly.Module, mostBytes: number) {
    this.#memory = new Memory({ initial: leastPages, maximum: Math.floor(mostBytes / pageBytes) });
    const imports = {
      host: { tokenize: (tokenizer: number, text: number, length: number) => this.#tokenize(tokenizer, text, length) },
      // The library measures how long it takes, for statistics that nobody asks for.
      env: { memory: this.#memory, now: () => 0 },
    };
    this.#exports = new Instance(code, imports).exports as GrammarExports;
  }

  get isTrapped(): boolean {
    return this.#isTrapped;
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** What the last call took. */
  get workTaken(): number {
    return this.#granted - this.#exports.work.value;
  }

  /** @throws GrammarRefusal, GrammarTrap, GrammarExhaustion; as everything here. */
  addTokenizer(number: number, tokens: TextTokens): void {
    this.#encoders.set(number, tokens.encode);
    const words = Array.from({ length: tokens.size }, (_unused, id) => {
      const bytes = tokens.bytes(id);
      return bytes.length > longestToken ? new Uint8Array() : bytes;
    });
    const input = new Uint8Array(words.reduce((sum, { length }) => sum + 2 + length, 4 * tokens.ends.length));
    const view = new DataView(input.buffer);
    let at = 0;
    for (const word of words) {
      view.setUint16(at, word.length, true);
      input.set(word, at + 2);
      at += 2 + word.length;
    }
    for (const [index, id] of tokens.ends.entries()) view.setUint32(at + 4 * index, id, true);
    this.#call(input, withoutBound, ({ add_tokenizer: add }) => add(number, tokens.size) === 0);
  }

  /** A text's handle. */
  open(tokenizer: number, { kind, text }: Constraint): number {
    let handle = 0;
    this.#call(encoder.encode(JSON.stringify({ kind, text })), mostWork.open, ({ open }) => (handle = open(tokenizer)) !== 0);
    return handle;
  }

  accept(handle: number, tokens: Uint32Array, work: number = mostWork.step + tokens.length * mostWork.token): GrammarStep {
    return stepOf(this.#call(littleEndian(tokens), work, ({ accept }) => accept(handle) === 0));
  }

  rollback(handle: number, tokens: number): GrammarStep {
    return stepOf(this.#call(new Uint8Array(), mostWork.step, ({ rollback }) => rollback(handle, tokens) === 0));
  }

  close(handle: number): void {
    if (this.#isTrapped) return;
    this.#guard(withoutBound, () => this.#exports.close(handle));
  }

  /** What the call has put out. */
  #call(input: Uint8Array, work: number, run: (exports: GrammarExports) => boolean): Uint8Array {
    return this.#guard(work, () => {
      this.#put(input);
      const succeeded = run(this.#exports);
      const at = this.#exports.output();
      const output = new Uint8Array(this.#memory.buffer, at, this.#exports.output_length()).slice();
      if (!succeeded) throw new GrammarRefusal(decoder.decode(output));
      return output;
    });
  }

  #guard<T>(work: number, use: () => T): T {
    if (this.#isTrapped) throw new GrammarTrap("the instance has trapped before");
    try {
      this.#granted = Math.min(work, withoutBound);
      this.#exports.work.value = this.#granted;
      return use();
    } catch (cause) {
      if (cause instanceof GrammarRefusal) throw cause;
      // A trap, a stack that is too deep, or a defect here: what the instance holds can't be trusted after any of them.
      this.#isTrapped = true;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw this.#exports.work.value === 0 ? new GrammarExhaustion(message, { cause }) : new GrammarTrap(message, { cause });
    }
  }

  #put(bytes: Uint8Array): void {
    const at = this.#exports.input(bytes.length);
    new Uint8Array(this.#memory.buffer, at, bytes.length).set(bytes);
  }

  #tokenize(tokenizer: number, text: number, length: number): number {
    const encode = this.#encoders.get(tokenizer);
    if (encode === undefined) throw new Error("there is no such tokenizer");
    const ids = encode(decoder.decode(new Uint8Array(this.#memory.buffer, text, length)));
    this.#put(littleEndian(ids));
    return ids.length;
  }
}

/** Where WebAssembly runs in a JavaScript engine, both have their numbers in the same order of bytes. */
const littleEndian = (numbers: Uint32Array): Uint8Array => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);

function stepOf(output: Uint8Array): GrammarStep {
  const view = new DataView(output.buffer);
  const flags = view.getUint32(0, true);
  const count = view.getUint32(4, true);
  const forced = new Uint32Array(output.buffer, 8, count).slice();
  return { forced, mask: (flags & 2) === 0 ? null : output.subarray(8 + 4 * count), mayEnd: (flags & 1) !== 0 };
}
