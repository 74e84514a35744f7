import { describe, expect, it } from "vitest";
import { oncePerKey, OncePerIsolate, type Clock, type Making } from "../../../workers/waiting/once-per-isolate.ts";
import { pause } from "../../../workers/waiting/within.ts";

function clock(): Clock {
  let time = 0;
  return {
    now: () => time,
    sleep: async (milliseconds) => {
      time += milliseconds;
      await pause(0);
    },
  };
}

const onceAt = (time: Clock) => new OncePerIsolate<string>({ silenceMilliseconds: 1_500, failureMilliseconds: 5_000, clock: time });

describe("OncePerIsolate", () => {
  it("makes the value once, whoever asks and however many", async () => {
    const time = clock();
    const once = onceAt(time);
    let made = 0;
    const make = async (): Promise<string> => {
      made += 1;
      await pause(0);
      return "value";
    };
    expect(await Promise.all([1, 2, 3].map(() => once.get(make)))).toEqual(["value", "value", "value"]);
    expect(made).toBe(1);
    expect(once.value).toBe("value");
  });

  it("takes over from a maker that fell silent, and undoes its work", async () => {
    const time = clock();
    const once = onceAt(time);
    let undone = false;
    let late: Making | undefined;
    const silent = once.get((making) => {
      late = making;
      making.onTakenOver(() => {
        undone = true;
      });
      return new Promise<string>(() => undefined);
    });
    expect(await once.get(() => Promise.resolve("second"))).toBe("second");
    expect(undone).toBe(true);
    expect(() => late?.alive()).toThrow("taken");
    silent.catch(() => undefined);
  });

  it("does not take over from a slow maker that shows signs of life", async () => {
    const time = clock();
    const once = onceAt(time);
    const slow = once.get(async (making) => {
      for (let chunk = 0; chunk < 100; chunk += 1) {
        await time.sleep(1000);
        making.alive();
      }
      return "slow";
    });
    const waiting = once.get(() => Promise.resolve("hasty"));
    expect(await Promise.all([slow, waiting])).toEqual(["slow", "slow"]);
  });

  it("gives those who waited the same failure, and tries again later", async () => {
    const time = clock();
    const once = onceAt(time);
    let tries = 0;
    const failing = async (): Promise<string> => {
      tries += 1;
      await time.sleep(10);
      throw new Error("broken");
    };
    const results = await Promise.allSettled([1, 2, 3].map(() => once.get(failing)));
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(once.get(failing)).rejects.toThrow("broken");
    expect(tries).toBe(1);
    await time.sleep(6000);
    expect(await once.get(() => Promise.resolve("well"))).toBe("well");
  });

  it("fails for good once poisoned", async () => {
    const time = clock();
    const once = onceAt(time);
    await once.get(() => Promise.resolve("value"));
    once.poison(new Error("trap"));
    await time.sleep(1e9);
    expect(once.value).toBeUndefined();
    await expect(once.get(() => Promise.resolve("other"))).rejects.toThrow("trap");
  });
});

describe("oncePerKey", () => {
  function counted(most: number, fails: () => boolean = () => false) {
    const loads: string[] = [];
    const get = oncePerKey(async (source: string, key) => {
      loads.push(key);
      await pause(0);
      if (fails()) throw new Error(`${key} is broken`);
      return `${key} of ${source}`;
    }, most);
    return { loads, get };
  }

  it("makes each key's value once, from the source of whoever came first", async () => {
    const { loads, get } = counted(2);
    expect(await Promise.all([get("one", "a"), get("two", "a"), get("two", "b")])).toEqual(["a of one", "a of one", "b of two"]);
    expect(await get("three", "b")).toBe("b of two");
    expect(loads).toEqual(["a", "b"]);
  });

  it("lets those go that were used longest ago", async () => {
    const { loads, get } = counted(2);
    for (const key of ["a", "b", "a", "c", "a", "b"]) await get("one", key);
    expect(loads).toEqual(["a", "b", "c", "b"]);
  });

  it("fails for all who wait, and tries again for the next one at once", async () => {
    let broken = true;
    const { loads, get } = counted(2, () => broken);
    const results = await Promise.allSettled([1, 2, 3].map(() => get("one", "a")));
    expect(results.map((result) => (result.status === "rejected" ? (result.reason as Error).message : ""))).toEqual(
      Array(3).fill("a is broken"),
    );
    broken = false;
    expect(await get("two", "a")).toBe("a of two");
    expect(loads).toEqual(["a", "a"]);
  });
});
