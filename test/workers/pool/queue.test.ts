/** Who waits for room, in which order it is given, and what those are told who get none. Time is counted, not spent. */
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { WaitQueue, type WaitQueueOptions } from "../../../workers/pool/queue.ts";

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** Sleepers wake in the order of their times, and everything they set going is done before time goes on. */
class TestClock {
  #now = 1_000_000;
  #sleepers: Sleeper[] = [];

  now(): number {
    return this.#now;
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((wake) => this.#sleepers.push({ at: this.#now + milliseconds, wake }));
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    while (true) {
      const next = this.#sleepers.reduce<Sleeper | undefined>(
        (first, one) => (one.at <= end && (first === undefined || one.at < first.at) ? one : first),
        undefined,
      );
      if (next === undefined) break;
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
    this.#now = end;
  }

  /** All who sleep are never heard of again, as when their requests are cut off. */
  cutOff(): void {
    this.#sleepers = [];
  }
}

function withRoom(room: number, options: Partial<WaitQueueOptions> = {}) {
  const clock = new TestClock();
  const queue = new WaitQueue({ most: 10, mostOfShare: 6, waitMilliseconds: 5_000, pool: () => state.room, ...options, clock });
  const state = { room, asked: 0, served: [] as string[], outcomes: new Map<string, Outcome<string>>() };
  const leave = new Map<string, () => void>();
  const ask = (name: string, lane = "m") => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    leave.set(name, () => {
      resolve(undefined);
    });
    const share = name.startsWith("nobody") ? null : (name[0] ?? "");
    const find = () => {
      state.asked += 1;
      return state.room > 0 ? name : undefined;
    };
    const take = () => {
      state.room -= 1;
      state.served.push(name);
    };
    void queue.run({ share, lane, left: () => promise }, find, take).then((outcome) => state.outcomes.set(name, outcome));
  };
  const failureOf = (name: string) => {
    const outcome = state.outcomes.get(name);
    return outcome?.ok === false ? outcome.failure : undefined;
  };
  /** Room for one at a time, as answers end. */
  const free = async (times: number, everyMilliseconds = 200) => {
    for (let time = 0; time < times; time++) {
      state.room += 1;
      await clock.pass(everyMilliseconds);
    }
  };
  return { clock, queue, state, ask, leave, failureOf, free };
}

describe("waiting for room", () => {
  it("does not happen where there is room", async () => {
    const { clock, state, ask, queue } = withRoom(2);
    ask("a1");
    ask("b1");
    await clock.pass(0);
    expect(state.served).toEqual(["a1", "b1"]);
    expect(queue.size).toBe(0);
  });

  it("ends when there is: shares take turns, and each is served as its requests came", async () => {
    const { state, ask, free } = withRoom(0);
    for (const name of ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]) ask(name);
    await free(7);
    for (const share of ["a", "b"]) {
      const own = state.served.filter((name) => name.startsWith(share));
      expect(own).toEqual(own.toSorted());
    }
    // Each share has one of the first three places, and each that has more one of the next two.
    expect(
      state.served
        .slice(0, 3)
        .map((name) => name[0])
        .toSorted(),
    ).toEqual(["a", "b", "c"]);
    expect(
      state.served
        .slice(3, 5)
        .map((name) => name[0])
        .toSorted(),
    ).toEqual(["a", "b"]);
    expect(state.served).toHaveLength(7);
  });

  it("is not passed by who comes later, not even at the moment there is room", async () => {
    const { clock, state, ask } = withRoom(0);
    ask("a1");
    await clock.pass(100);
    state.room = 1;
    ask("b1");
    await clock.pass(1_000);
    expect(state.served).toHaveLength(1);
    state.room = 1;
    ask("c1");
    await clock.pass(1_000);
    expect(state.served.toSorted()).toEqual(["a1", "b1"]);
  });

  it("is of one model: others are served meanwhile", async () => {
    const { clock, state, ask, queue } = withRoom(0);
    ask("a1", "full");
    await clock.pass(100);
    state.room = 1;
    ask("b1", "other");
    expect(state.served).toEqual(["b1"]);
    expect(queue.size).toBe(1);
  });

  it("asks only when there may be more room, and only a few of those who wait", async () => {
    const { clock, ask, state } = withRoom(0, { most: 100 });
    for (let index = 0; index < 40; index++) ask(`${String.fromCharCode(97 + (index % 20))}${index}`);
    await clock.pass(1_000);
    // The first asks for itself, and then eight shares once.
    expect(state.asked).toBeLessThanOrEqual(9);
  });

  it("lets another go first whose request can be served where the first one's cannot", async () => {
    const clock = new TestClock();
    const queue = new WaitQueue({ most: 10, mostOfShare: 6, waitMilliseconds: 5_000, pool: () => clock.now(), clock });
    const first = queue.run(
      { share: "a", lane: "m" },
      () => undefined,
      () => undefined,
    );
    let room = false;
    const second = queue.run(
      { share: "b", lane: "m" },
      () => (room ? "found" : undefined),
      () => undefined,
    );
    await clock.pass(100);
    room = true;
    await clock.pass(100);
    await expect(second).resolves.toEqual({ ok: true, value: "found" });
    await clock.pass(5_000);
    await expect(first).resolves.toMatchObject({ ok: false });
  });

  it("takes places that become free at once one after another without delay", async () => {
    const { clock, state, ask } = withRoom(0);
    for (const name of ["a1", "b1", "c1", "d1", "e1"]) ask(name);
    await clock.pass(100);
    state.room = 5;
    await clock.pass(200);
    expect(state.served).toHaveLength(5);
  });

  it("ends for whoever goes away, and the turn goes on", async () => {
    const { clock, state, ask, leave, failureOf, queue } = withRoom(0);
    ask("a1");
    ask("b1");
    leave.get("a1")?.();
    await clock.pass(50);
    expect(failureOf("a1")).toMatchObject({ code: "cancelled", status: 499, retryable: false });
    expect(queue.size).toBe(1);
    state.room = 1;
    await clock.pass(300);
    expect(state.served).toEqual(["b1"]);
  });

  it("forgets requests that were cut off: they keep neither turns nor places", async () => {
    const { clock, state, ask, queue } = withRoom(0);
    for (const name of ["a1", "a2", "b1", "b2"]) ask(name);
    clock.cutOff();
    ask("c1");
    await clock.pass(500);
    state.room = 1;
    await clock.pass(500);
    expect(state.served).toEqual(["c1"]);
    await clock.pass(3_000);
    state.room = 1;
    ask("d1");
    expect(state.served).toEqual(["c1", "d1"]);
    expect(queue.size).toBe(0);
  });

  it("goes on after an isolate that stood still: nobody who still waits is forgotten", async () => {
    const { clock, state, ask } = withRoom(0, { waitMilliseconds: 60_000 });
    ask("a1");
    ask("b1");
    for (const name of ["a1", "b1"]) expect(state.outcomes.has(name)).toBe(false);
    // Both look again only after the silence after which one is taken for gone.
    const sleep = clock.sleep.bind(clock);
    clock.sleep = () => sleep(3_000);
    await clock.pass(10_000);
    clock.sleep = sleep;
    await clock.pass(4_000);
    state.room = 2;
    await clock.pass(1_000);
    expect(state.served.toSorted()).toEqual(["a1", "b1"]);
  });
});

describe("who gets no room", () => {
  it("is told so after the wait", async () => {
    const { clock, ask, failureOf, queue } = withRoom(0);
    ask("a1");
    await clock.pass(4_900);
    expect(failureOf("a1")).toBeUndefined();
    await clock.pass(200);
    expect(failureOf("a1")).toMatchObject({ code: "overloaded", status: 503, retryable: true, message: "No backend had room within 5 s." });
    expect(queue.size).toBe(0);
  });

  it("is told 429 where its share's requests fill their part, and others still find a place", async () => {
    const { clock, ask, failureOf } = withRoom(0);
    for (let index = 0; index < 7; index++) ask(`a${index}`);
    ask("b0");
    await clock.pass(0);
    expect(failureOf("a6")).toMatchObject({
      code: "overloaded",
      status: 429,
      retryable: true,
      message: "6 of your requests wait for room, which is the limit.",
    });
    expect(failureOf("b0")).toBeUndefined();
  });

  it("is told 503 where the queue is full of all models' requests", async () => {
    const { clock, ask, failureOf } = withRoom(0);
    for (let index = 0; index < 10; index++) ask(`${"abcde"[index % 5] ?? ""}${index}`, `m${index % 2}`);
    ask("f1");
    await clock.pass(0);
    expect(failureOf("f1")).toMatchObject({ code: "overloaded", status: 503, retryable: true });
  });

  it("is told when to come again by how often room became free", async () => {
    const { clock, ask, failureOf, free } = withRoom(0, { most: 5, waitMilliseconds: 60_000 });
    for (const name of ["a1", "a2", "b1", "b2", "c1"]) ask(name);
    ask("d1");
    await clock.pass(0);
    // Nothing is known yet.
    expect(failureOf("d1")?.retryAfterSeconds).toBe(2);
    await clock.pass(3_000);
    await free(2, 3_000);
    ask("d2");
    ask("d3");
    ask("d4");
    await clock.pass(0);
    // Five wait, room becomes free every three seconds, and it would be the sixth.
    expect(failureOf("d4")?.retryAfterSeconds).toBeGreaterThan(16);
    expect(failureOf("d4")?.retryAfterSeconds).toBeLessThanOrEqual(20);
  });

  it("is not told of the hours in which nobody waited", async () => {
    const { clock, ask, state, failureOf, free } = withRoom(0, { most: 1 });
    ask("a1");
    await free(1, 1_000);
    await clock.pass(3_600_000);
    ask("a2");
    await free(1, 1_000);
    ask("a3");
    ask("b1");
    await clock.pass(0);
    expect(state.served).toEqual(["a1", "a2"]);
    expect(failureOf("b1")?.retryAfterSeconds).toBe(1);
  });
});
