/** How the values of a tensor lie in a GGUF, by ggml's number of their type. */

/** Values and bytes of a block: f32, f16, q4_0, q4_1, q5_0, q8_0, q4_k, q6_k, i8 and i32 (W8 codes and what they lack), bf16. */
const blocks: Readonly<Record<number, readonly [number, number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  8: [32, 34],
  12: [256, 144],
  14: [256, 210],
  24: [1, 1],
  26: [1, 4],
  30: [1, 2],
};

/** Bytes of one row of `columns` values. @throws Error that names the tensor. */
export function rowBytes(type: number, columns: number, name: string): number {
  const block = blocks[type];
  if (block === undefined)
    throw new Error(`tensor '${name}' has ggml type ${String(type)}; it must be one of ${Object.keys(blocks).join(", ")}`);
  if (columns % block[0] !== 0)
    throw new Error(`tensor '${name}' has rows of ${String(columns)} elements; a multiple of ${String(block[0])} is needed`);
  return (columns / block[0]) * block[1];
}
