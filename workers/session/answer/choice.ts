/** One choice of an answer: reads a backend's events, makes text of them and stops them when a stop string is complete. */
import type { ChoiceEvent, Job, Piece, ScoredToken } from "../../contracts/choice.ts";
import type { TokenLogprob } from "../../contracts/engine.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { decodeEvents } from "../../contracts/event-stream.ts";
import type { SpikeCounts, SpikesByLayer } from "../../contracts/spikes.ts";
import type { StateReport } from "../../contracts/state.ts";
import { StreamDecoder } from "../../tokenizer/stream-decoder.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { codePoints } from "./code-points.ts";
import { TextAssembler, type AssembledText } from "./text-assembler.ts";

/** Ends by `return` after the choice's end event, or throws the {@link ServiceError} that ended it; either way the backend is let go. */
export async function* readChoice(
  job: Job,
  stream: ReadableStream<Uint8Array>,
  tokenizer: Tokenizer,
  signal: AbortSignal,
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const { index, request, echo } = job;
  const assembler = new TextAssembler(
    new StreamDecoder(tokenizer, { skipSpecial: true }),
    job.stops,
    request.minTokens,
    echo === null ? 0 : codePoints(echo),
  );
  let spikeTotals: SpikeCounts | undefined;
  let state: StateReport | undefined;
  const totals = () => (spikeTotals === undefined ? {} : { spikes: spikeTotals });
  const latest = () => (state === undefined ? {} : { state });
  const piece = ({ text, tokens }: AssembledText): Piece => ({ type: "piece", index, text, tokens, ...totals(), ...latest() });
  const end = (reason: "stop" | "length", cachedTokens: number, spikes?: SpikesByLayer): ChoiceEvent => ({
    type: "end",
    index,
    reason,
    completionTokens: assembler.count,
    cachedTokens,
    ...(spikes === undefined ? {} : { spikes }),
    ...(spikeTotals === undefined ? {} : { spikeTotals }),
    ...latest(),
  });
  let awaitsPrompt = request.promptLogprobs !== null;
  if (echo !== null && !awaitsPrompt) yield piece({ text: echo, tokens: [] });

  for await (const event of decodeEvents(stream, signal)) {
    // A stream that broke because this side let go of it failed for this side's reason.
    if (event.type === "error") throw signal.reason instanceof ServiceError ? signal.reason : new ServiceError(event.failure);
    if (event.type === "restored" || event.type === "state" || event.type === "saved" || event.type === "unsaved") continue;
    if (event.type === "read") {
      state = event.state;
      yield piece({ text: "", tokens: [] });
      continue;
    }
    if (event.type === "prompt") {
      awaitsPrompt = false;
      yield piece({ text: echo ?? "", tokens: scorePrompt(request.prompt, event.logprobs, tokenizer) });
      continue;
    }
    if (awaitsPrompt) throw brokenBackend("the backend left out the prompt's log-probabilities");
    if (event.type === "token" && event.spikes !== undefined) spikeTotals = event.spikes;
    if (event.state !== undefined) state = event.state;
    const assembled = event.type === "token" ? assembler.push(event.id, event.logprob) : assembler.finish();
    if (assembled.text !== "" || assembled.tokens.length > 0) yield piece(assembled);
    if (event.type === "finish") yield end(assembled.stopped ? "stop" : event.reason, event.usage.cachedTokens, event.spikes);
    else if (assembled.stopped) yield end("stop", 0);
    if (assembled.stopped) return;
  }
}

function scorePrompt(prompt: Uint32Array, logprobs: readonly (TokenLogprob | null)[], tokenizer: Tokenizer): ScoredToken[] {
  if (logprobs.length !== prompt.length) throw brokenBackend("the backend scored another number of prompt tokens than it was sent");
  const decoder = new StreamDecoder(tokenizer);
  let offset = 0;
  return Array.from(prompt, (id, position) => {
    const scored = logprobs[position] ?? null;
    const token = { id, logprob: scored?.logprob ?? null, top: scored?.top ?? null, offset };
    offset += codePoints(decoder.push(id));
    return token;
  });
}

function brokenBackend(message: string): ServiceError {
  return new ServiceError({ code: "engine_unavailable", status: 502, message, retryable: true });
}
