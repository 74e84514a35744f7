/** The entry of a thread that is a rank beside the first: loads its part of the model, then follows. */
import { initSync, ModelLoader } from "../../../../wasm/pkg/relaxed/spikingbrain.js";
import { Follower } from "../../../engine/ranks/calls.ts";
import { SharedExchange } from "../../../engine/ranks/exchange.ts";
import { follow } from "../../../engine/ranks/follow.ts";
import { readyWord, type RankOrder } from "./messages.ts";

let memory: WebAssembly.Memory | undefined;
let place: Omit<Extract<RankOrder, { type: "begin" }>, "type"> | undefined;
let exchange: SharedExchange | undefined;
let loader: ModelLoader | undefined;
/** Told to the first rank when it asks for the engine: until then nobody listens. */
let failure: Error | undefined;

addEventListener("message", ({ data }: MessageEvent<RankOrder>) => {
  // What cannot start breaks the thread, which is seen where it was made.
  if (data.type === "start") start(data.module);
  else if (data.type === "follow") followFirst();
  else
    try {
      take(data);
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
});

function start(module: WebAssembly.Module): void {
  ({ memory } = initSync({ module }));
  postMessage(readyWord);
}

function take(order: Extract<RankOrder, { type: "begin" | "push" }>): void {
  if (order.type === "push") {
    if (failure === undefined) loader?.push(order.chunk);
    return;
  }
  const { options, meeting } = order;
  place = order;
  exchange = new SharedExchange(meeting, () => memory?.buffer ?? new ArrayBuffer(0));
  loader = new ModelLoader(JSON.stringify(options), exchange);
}

function followFirst(): void {
  if (place === undefined) throw new Error("a rank follows nobody before it has begun");
  follow(
    new Follower(place.line, place.options.rank - 1),
    () => {
      if (failure !== undefined || loader === undefined) throw failure ?? new Error("a rank has no model");
      return loader.finish();
    },
    (code) => {
      exchange?.leave(code);
    },
  );
}
