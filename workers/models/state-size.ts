/**
 * What a conversation takes, from how its model mixes tokens: the same count as `gpu-backend/spikingbrain/sizes.py`, for models whose backends do
 * not say it themselves. Linear states and sums of evicted tokens are f32, one per KV head.
 */
import type { LayerKind, ModelForm } from "../contracts/model-files.ts";

export type KeysAndValues = "f32" | "bf16" | "int8";

const floatBytes = 4;
const positionBytes = 4;
const elementBytes: Readonly<Record<KeysAndValues, number>> = { f32: 4, bf16: 2, int8: 1 };
/** Of a token's keys of one head, and as much of its values. */
const scaleBytes: Readonly<Record<KeysAndValues, number>> = { f32: 0, bf16: 0, int8: floatBytes };

/** Bytes after so many tokens of text. */
export function stateBytes(form: ModelForm, tokens: number, keysAndValues: KeysAndValues): number {
  const { kvHeads, headDim, learnedSinks } = form;
  const position = learnedSinks + tokens;
  const layers = (holds: (branches: readonly string[]) => boolean) =>
    form.layers.reduce((sum, kind) => sum + (holds(branchesOf(kind)) ? kind.count : 0), 0);
  const linear = layers((branches) => branches.includes("linear"));
  const evicted = layers((branches) => branches.includes("evicted"));
  const head = (linear * headDim ** 2 + evicted * 2 * headDim * (headDim + 1)) * kvHeads * floatBytes;
  const held = form.layers.reduce((sum, kind) => sum + kind.count * tokensHeld(kind, form, position), 0);
  const row = bytesPerToken(form, keysAndValues);
  const salient = evicted * salientHeld(form, position);
  return head + held * row + salient * (row + kvHeads * (floatBytes + positionBytes));
}

/** Whether a conversation takes no more from some length on. */
export const isConstant = ({ layers }: ModelForm): boolean => !layers.some((kind) => branchesOf(kind).includes("full"));

/** Bytes that each token would add if every layer were full attention. */
export function fullAttentionBytesPerToken(form: ModelForm, keysAndValues: KeysAndValues): number {
  return form.layers.reduce((sum, { count }) => sum + count, 0) * bytesPerToken(form, keysAndValues);
}

/** Of one layer that keeps the token. */
function bytesPerToken({ kvHeads, headDim }: ModelForm, keysAndValues: KeysAndValues): number {
  return 2 * kvHeads * (headDim * elementBytes[keysAndValues] + scaleBytes[keysAndValues]);
}

const branchesOf = ({ mixer }: LayerKind): readonly string[] => mixer.split("+");

/** Tokens whose keys a query at `position` sees, its own not counted; an `evicted` layer's softmax branch is a window. */
function tokensHeld(kind: LayerKind, { window, keptTokens, learnedSinks }: ModelForm, position: number): number {
  const branches = branchesOf(kind);
  if (branches.includes("full")) return position;
  const sees = branches.includes("window") || branches.includes("evicted");
  return sees && window !== null ? Math.min(position, Math.max(learnedSinks, keptTokens) + window) : 0;
}

/** Of one `evicted` layer, per KV head. */
function salientHeld({ window, keptTokens, learnedSinks, salientTokens }: ModelForm, position: number): number {
  if (window === null || salientTokens === null) return 0;
  return Math.min(salientTokens, Math.max(0, position + 1 - window - Math.max(learnedSinks, keptTokens)));
}
