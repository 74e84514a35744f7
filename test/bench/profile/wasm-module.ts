/** The bytes of small WebAssembly modules that measurements write by hand. */

/** Node's types know the interfaces of WebAssembly, not its constructors. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object) => { readonly exports: unknown };
  };
};

/** What the module exports. */
export function instantiate(bytes: Uint8Array): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
}

/** An instruction on vectors, by its number. */
export function simd(code: number): number[] {
  return [0xfd, ...leb(code)];
}

export function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

export function text(name: string): number[] {
  return [name.length, ...Buffer.from(name)];
}

/** LEB128, with room for the sign where one is read. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x40) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return [...bytes, rest];
}
