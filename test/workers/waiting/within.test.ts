/** In workerd and in Node. Time is the test's own. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pause, until, within } from "../../../workers/waiting/within.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = new Promise<string>(() => undefined);
const refuse = (): never => {
  throw new Error("too late");
};

describe("within", () => {
  test("gives what comes in time, whatever it is, and leaves no timer behind", async () => {
    expect(await within(Promise.resolve("value"), 100, refuse)).toBe("value");
    expect(await within(Promise.resolve<unknown>(undefined), 100, refuse)).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("throws what a rejection brings, and leaves no timer behind", async () => {
    await expect(within(Promise.reject(new Error("broken")), 100, () => null)).rejects.toThrow("broken");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("gives or throws what is said for being late, when the time is over and not before", async () => {
    const value = within(never, 100, () => null);
    const failure = expect(within(never, 100, refuse)).rejects.toThrow("too late");
    const first = Promise.race([value, Promise.resolve("still waiting")]);
    await vi.advanceTimersByTimeAsync(99);
    expect(await first).toBe("still waiting");
    expect(vi.getTimerCount()).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(await value).toBeNull();
    await failure;
  });

  test("a rejection that comes late is nobody's", async () => {
    const { promise, reject } = Promise.withResolvers<string>();
    const value = within(promise, 100, () => null);
    await vi.advanceTimersByTimeAsync(100);
    reject(new Error("late"));
    expect(await value).toBeNull();
  });
});

describe("until", () => {
  const options = { milliseconds: 100, everyMilliseconds: 10 };

  test("looks at once, and again until something is found", async () => {
    const look = vi.fn<() => string | undefined>().mockReturnValueOnce(undefined).mockReturnValueOnce(undefined).mockReturnValue("found");
    const found = until(look, options, refuse);
    await vi.advanceTimersByTimeAsync(20);
    expect(await found).toBe("found");
    expect(look).toHaveBeenCalledTimes(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("ends when the time is over, or with what the look throws", async () => {
    const late = until(
      () => undefined,
      options,
      () => "late",
    );
    await vi.advanceTimersByTimeAsync(110);
    expect(await late).toBe("late");
    await expect(until(refuse, options, () => "late")).rejects.toThrow("too late");
  });
});

test("pause lasts as long as it says", async () => {
  const over = vi.fn();
  const paused = pause(50).then(over);
  await vi.advanceTimersByTimeAsync(49);
  expect(over).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await paused;
  expect(over).toHaveBeenCalledOnce();
});
