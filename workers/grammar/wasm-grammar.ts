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
}

/** The library's word for why it does not take something. */
export class GrammarRefusal extends Error {
  override readonly name = "GrammarRefusal";
}

/** The instance has trapped. */
export class GrammarTrap extends Error {
  override readonly name = "GrammarTrap";
}

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

/** One token a byte: enough to say whether a grammar can be held to, in a tenth of a millisecond. */
export const byteTokens: TextTokens = {
  size: 257,
  ends: [256],
  bytes: (id) => (id === 256 ? new Uint8Array() : Uint8Array.of(id)),
  encode: (text) => Uint32Array.from(encoder.encode(text)),
};

export class WasmGrammar {
  readonly #exports: GrammarExports;
  readonly #memory: InstanceType<typeof Memory>;
  readonly #encoders = new Map<number, TextTokens["encode"]>();
  #isTrapped = false;

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

  /** @throws GrammarRefusal, GrammarTrap; as everything here. */
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
    this.#call(input, ({ add_tokenizer: add }) => add(number, tokens.size) === 0);
  }

  /** A text's handle. */
  open(tokenizer: number, { kind, text }: Constraint): number {
    let handle = 0;
    this.#call(encoder.encode(JSON.stringify({ kind, text })), ({ open }) => (handle = open(tokenizer)) !== 0);
    return handle;
  }

  accept(handle: number, tokens: Uint32Array): GrammarStep {
    return stepOf(this.#call(littleEndian(tokens), ({ accept }) => accept(handle) === 0));
  }

  rollback(handle: number, tokens: number): GrammarStep {
    return stepOf(this.#call(new Uint8Array(), ({ rollback }) => rollback(handle, tokens) === 0));
  }

  close(handle: number): void {
    if (this.#isTrapped) return;
    this.#guard(() => this.#exports.close(handle));
  }

  /** What the call has put out. */
  #call(input: Uint8Array, run: (exports: GrammarExports) => boolean): Uint8Array {
    return this.#guard(() => {
      this.#put(input);
      const succeeded = run(this.#exports);
      const at = this.#exports.output();
      const output = new Uint8Array(this.#memory.buffer, at, this.#exports.output_length()).slice();
      if (!succeeded) throw new GrammarRefusal(decoder.decode(output));
      return output;
    });
  }

  #guard<T>(use: () => T): T {
    if (this.#isTrapped) throw new GrammarTrap("the instance has trapped before");
    try {
      return use();
    } catch (cause) {
      if (cause instanceof GrammarRefusal) throw cause;
      // A trap, a stack that is too deep, or a defect here: what the instance holds can't be trusted after any of them.
      this.#isTrapped = true;
      throw new GrammarTrap(cause instanceof Error ? cause.message : String(cause), { cause });
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
