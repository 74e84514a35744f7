/** In workerd and in Node. Time is the test's own. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Waits } from "../../../workers/waiting/waits.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = new Promise<string>(() => undefined);

test("many waits that end in time share one timer, which stops with them", async () => {
  const waits = new Waits();
  const set = vi.spyOn(globalThis, "setTimeout");
  for (let value = 0; value < 50; value++) {
    expect(await waits.within(Promise.resolve(value), 100, () => "late")).toBe(value);
    vi.setSystemTime(Date.now() + 1);
  }
  expect(set).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(1);
  waits.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ["as long as the ones before", 100],
  ["a shorter one", 30],
  ["a longer one", 300],
])("one that is late ends after its own time, and not before: %s", async (_name, milliseconds) => {
  const waits = new Waits();
  await waits.within(Promise.resolve(), 100, () => "late");
  await vi.advanceTimersByTimeAsync(60);
  const ended = vi.fn();
  const wait = waits.within(never, milliseconds, () => "late").then(ended);
  await vi.advanceTimersByTimeAsync(milliseconds - 1);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await wait;
  expect(ended).toHaveBeenCalledExactlyOnceWith("late");
  expect(vi.getTimerCount()).toBe(0);
});

test.each([-3_600_000, 3_600_000])(
  "a clock that is set by %d ms meanwhile moves a wait's end by less than the wait before it",
  async (by) => {
    const waits = new Waits();
    await waits.within(Promise.resolve(), 50, () => "late");
    await vi.advanceTimersByTimeAsync(10);
    const ended = vi.fn();
    const wait = waits.within(never, 100, () => "late").then(ended);
    vi.setSystemTime(Date.now() + by);
    await vi.advanceTimersByTimeAsync(50);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(100);
    await wait;
    expect(ended).toHaveBeenCalledOnce();
  },
);

test("a rejection is thrown, and what is said for being late may throw", async () => {
  const waits = new Waits();
  await expect(waits.within(Promise.reject(new Error("broken")), 100, () => null)).rejects.toThrow("broken");
  const failure = expect(
    waits.within(never, 100, () => {
      throw new Error("too late");
    }),
  ).rejects.toThrow("too late");
  await vi.advanceTimersByTimeAsync(100);
  await failure;
});
