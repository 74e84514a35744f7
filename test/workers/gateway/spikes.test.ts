import { beforeEach, expect, test } from "vitest";
import { addSpikes, layerTotals, noSpikes } from "../../../workers/contracts/spikes.ts";
import { requireSpikes } from "../../../workers/gateway/plan/require-spikes.ts";
import { SpikeSums, spikeShares } from "../../../workers/gateway/stream/spike-report.ts";
import { chat, chatChunks, complete, failure, payloads, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { idOf } from "../support/tiny-tokenizer.ts";
import { toySpikes } from "../support/toy-backend.ts";
import { smallestDescription } from "../support/smallest-description.ts";

beforeEach(() => engine.use({ reply: [idOf("hello"), idOf("Ġworld")] }));

interface Usage {
  readonly usage: { readonly spikes: { readonly operations: { readonly multiply_accumulates: number } } };
}

/** The prompt's 21 tokens and the first of the answer; the second is sampled, and read by nobody. */
const read = 21 + 2;

test("a chat answer that asks for spikes says in its usage what fired", async () => {
  const { usage } = await (await chat({ spikes: true })).json<{ usage: { spikes: object } }>();
  const [first, second] = layerTotals(toySpikes(read));
  const total = addSpikes(first ?? noSpikes, second ?? noSpikes);
  expect(usage.spikes).toEqual({
    mode: "paper",
    ...spikeShares(total),
    operations: {
      multiply_accumulates: total.multiplyAccumulates,
      skipped: total.skipped,
      skipped_share: total.skipped / total.multiplyAccumulates,
      additions: total.additions,
    },
    energy_estimate: {
      spikes_microjoules: (total.additions * 0.03) / 1e6,
      int8_microjoules: (total.multiplyAccumulates * 0.23) / 1e6,
      fp16_microjoules: (total.multiplyAccumulates * 1.5) / 1e6,
      formula: "spikes: additions * int8_addition; int8, fp16: multiply_accumulates * int8_mac, fp16_mac",
      picojoules: { int8_addition: 0.03, int8_mac: 0.23, fp16_mac: 1.5 },
    },
    layers: [first, second].map((counts) => spikeShares(counts ?? noSpikes)),
  });
  expect(spikeShares(first ?? noSpikes)).toEqual({
    silent_share: 0.1,
    small_share: 0.9,
    mean_count: 2,
    mean_spikes: 1.2,
    window_shares: [1 / 9, 5 / 9, 2 / 9, 1 / 9],
  });
});

test("a stream carries the shares so far beside each delta, and the whole in its usage", async () => {
  const chunks = await chatChunks(await chat({ stream: true, spikes: true, stream_options: { include_usage: true } }));
  const live = chunks.flatMap((chunk) => ("spikes" in chunk ? [chunk.spikes] : []));
  expect(live.length).toBeGreaterThan(0);
  expect(live[0]).toMatchObject({ silent_share: 5 / 30, mean_spikes: 1.2 });
  expect(chunks.at(-1)).toMatchObject({ usage: { spikes: { mode: "paper", layers: [{ silent_share: 0.1 }, { silent_share: 0.2 }] } } });
});

test("completions count them too, over all choices", async () => {
  const multiplications = async (body: Json) => {
    const { usage } = await (await complete({ prompt: "hi", spikes: true, ...body })).json<Usage>();
    return usage.spikes.operations.multiply_accumulates;
  };
  expect(await multiplications({ n: 2 })).toBe(2 * (await multiplications({})));
});

test("nobody who does not ask is told", async () => {
  expect(JSON.stringify(await (await chat({})).json())).not.toContain("spikes");
  expect((await payloads(await chat({ stream: true, spikes: false }))).join()).not.toContain("spikes");
  expect(engine.calls.every(({ countSpikes }) => countSpikes === false)).toBe(true);
});

test("the field must be true or false", async () => {
  const response = await chat({ spikes: "yes" });
  expect(response.status).toBe(400);
  expect(await failure(response)).toMatchObject({ code: "invalid_request", param: "spikes" });
});

test("a model in which nothing fires refuses, and says why", () => {
  const refusal = /'spikes' cannot be counted: the model runs in spiking mode 'off'/;
  expect(() => requireSpikes(smallestDescription)).toThrow(refusal);
  expect(() => requireSpikes({ ...smallestDescription, spikes: "off" })).toThrow(refusal);
  expect(requireSpikes({ ...smallestDescription, spikes: "released" })).toBe("released");
});

test("an answer cut off by a stop string has totals and no layers", () => {
  const sums = new SpikeSums();
  sums.add(toySpikes(3), undefined);
  sums.add(undefined, layerTotals(toySpikes(3)).reduce(addSpikes, noSpikes));
  expect(sums.report("paper")).toMatchObject({ layers: null, operations: { multiply_accumulates: 18_000 } });
  expect(new SpikeSums().report("paper")).toMatchObject({ silent_share: 0, layers: [] });
});
