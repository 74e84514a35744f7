/**
 * Counts the work of a WebAssembly module, and bounds it: the module gets an exported global `work`, which the host sets before a call. Each iteration of a
 * loop, and each call of a function that calls others, takes one off; where nothing is left, the module traps. What a call may take is thus the same
 * on every machine, and needs no clock: a Worker's stands still while it computes.
 */

const sections = { import: 2, global: 6, export: 7, code: 10 } as const;
const globalOfImport = 3;

/** @returns the module with the counter. @throws Error on what it doesn't know; whoever compiles the result validates the rest. */
export function metered(module: Uint8Array): Uint8Array {
  const reader = new Reader(module, 8);
  const parts: Uint8Array[] = [module.subarray(0, 8)];
  let globals = 0;
  while (reader.at < module.length) {
    const id = reader.byte();
    const body = reader.bytes(reader.number());
    if (id === sections.import) globals += importedGlobals(body);
    let changed = body;
    if (id === sections.global) {
      globals += new Reader(body).number();
      // i32, mutable, 0.
      changed = appended(body, [0x7f, 0x01, 0x41, 0x00, 0x0b]);
    } else if (id === sections.export) changed = appended(body, [4, ...new TextEncoder().encode("work"), 3, ...leb(globals)]);
    else if (id === sections.code) changed = meteredCode(body, globals);
    parts.push(Uint8Array.of(id, ...leb(changed.length)), changed);
  }
  return joined(parts);
}

function importedGlobals(body: Uint8Array): number {
  const reader = new Reader(body);
  let count = 0;
  for (let left = reader.number(); left > 0; left -= 1) {
    reader.bytes(reader.number());
    reader.bytes(reader.number());
    const kind = reader.byte();
    if (kind === 0) reader.number();
    else if (kind === globalOfImport) {
      reader.bytes(2);
      count += 1;
    } else {
      // A table's type is before its limits.
      if (kind === 1) reader.byte();
      const hasMost = (reader.byte() & 1) === 1;
      reader.number();
      if (hasMost) reader.number();
    }
  }
  return count;
}

/** One more entry at a section's end. */
function appended(body: Uint8Array, entry: readonly number[]): Uint8Array {
  const reader = new Reader(body);
  const count = reader.number();
  return joined([Uint8Array.from(leb(count + 1)), body.subarray(reader.at), Uint8Array.from(entry)]);
}

function meteredCode(body: Uint8Array, global: number): Uint8Array {
  // Traps where the counter is 0; otherwise takes one off.
  const get = [0x23, ...leb(global)];
  const count = Uint8Array.of(...get, 0x45, 0x04, 0x40, 0x00, 0x0b, ...get, 0x41, 0x01, 0x6b, 0x24, ...leb(global));
  const reader = new Reader(body);
  const functions = reader.number();
  const parts: Uint8Array[] = [Uint8Array.from(leb(functions))];
  for (let left = functions; left > 0; left -= 1) {
    const code = reader.bytes(reader.number());
    const { start, loops, isCalling } = placesOf(code);
    const cuts = isCalling ? [start, ...loops] : loops;
    const between = cuts.flatMap((cut, at) => [code.subarray(at === 0 ? 0 : cuts[at - 1], cut), count]);
    const changed = joined([...between, code.subarray(cuts.at(-1) ?? 0)]);
    parts.push(Uint8Array.from(leb(changed.length)), changed);
  }
  return joined(parts);
}

/** Where a function's instructions begin, and where those of each of its loops do. */
function placesOf(code: Uint8Array): { readonly start: number; readonly loops: readonly number[]; readonly isCalling: boolean } {
  const reader = new Reader(code);
  for (let groups = reader.number(); groups > 0; groups -= 1) {
    reader.number();
    reader.byte();
  }
  const start = reader.at;
  const loops: number[] = [];
  let isCalling = false;
  while (reader.at < code.length) {
    const operation = reader.byte();
    skipImmediates(operation, reader);
    if (operation === 0x03) loops.push(reader.at);
    if (operation === 0x10 || operation === 0x11) isCalling = true;
  }
  return { start, loops, isCalling };
}

/** As the core specification has them, with SIMD, bulk memory and sign extension. */
function skipImmediates(operation: number, reader: Reader): void {
  const numbers = (count: number) => {
    for (let left = count; left > 0; left -= 1) reader.number();
  };
  if (operation === 0xfc) skipBulk(reader.number(), numbers);
  else if (operation === 0xfd) skipVector(reader.number(), reader, numbers);
  else if (operation === 0x0e) numbers(reader.number() + 1);
  else if (operation === 0x1c) numbers(reader.number());
  else if (operation === 0x43) reader.bytes(4);
  else if (operation === 0x44) reader.bytes(8);
  else if (operation === 0x11 || (operation >= 0x28 && operation <= 0x3e)) numbers(2);
  else if (
    [0x02, 0x03, 0x04, 0x0c, 0x0d, 0x10, 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2].includes(operation) ||
    (operation >= 0x20 && operation <= 0x26)
  )
    numbers(1);
  else if (!isPlain(operation)) throw new Error(`the instruction ${operation.toString(16)} is unknown`);
}

const isPlain = (operation: number): boolean =>
  [0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b, 0xd1].includes(operation) || (operation >= 0x45 && operation <= 0xc4);

function skipBulk(operation: number, numbers: (count: number) => void): void {
  if (operation > 17) throw new Error(`the instruction fc ${operation.toString(16)} is unknown`);
  if (operation >= 8) numbers([8, 10, 12, 14].includes(operation) ? 2 : 1);
}

function skipVector(operation: number, reader: Reader, numbers: (count: number) => void): void {
  if (operation <= 11 || operation === 92 || operation === 93) numbers(2);
  else if (operation === 12 || operation === 13) reader.bytes(16);
  else if (operation >= 21 && operation <= 34) reader.bytes(1);
  else if (operation >= 84 && operation <= 91) {
    numbers(2);
    reader.bytes(1);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new Error("the module is cut off");
    return byte;
  }

  bytes(length: number): Uint8Array {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new Error("the module is cut off");
    return this.#bytes.subarray(start, this.at);
  }

  /** LEB128. The value only counts where it has no sign and is below 2^31. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
