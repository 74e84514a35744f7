import { describe, expect, it } from "vitest";
import { OncePerIsolate, type Making } from "../../../workers/engine/once-per-isolate.ts";

function clock(): { now(): number; sleep(milliseconds: number): Promise<void> } {
  let time = 0;
  return {
    now: () => time,
    sleep: async (milliseconds) => {
      time += milliseconds;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe("OncePerIsolate", () => {
  it("makes the value once, whoever asks and however many", async () => {
    const once = new OncePerIsolate<string>();
    let made = 0;
    const time = clock();
    const make = async (): Promise<string> => {
      made += 1;
      await new Promise((resolve) => setImmediate(resolve));
      return "value";
    };
    expect(await Promise.all([1, 2, 3].map(() => once.get(make, time)))).toEqual(["value", "value", "value"]);
    expect(made).toBe(1);
    expect(once.value).toBe("value");
  });

  it("takes over from a maker that fell silent, and undoes its work", async () => {
    const once = new OncePerIsolate<string>();
    const time = clock();
    let undone = false;
    let late: Making | undefined;
    const silent = once.get((making) => {
      late = making;
      making.onTakenOver(() => {
        undone = true;
      });
      return new Promise<string>(() => undefined);
    }, time);
    expect(await once.get(() => Promise.resolve("second"), time)).toBe("second");
    expect(undone).toBe(true);
    expect(() => late?.alive()).toThrow("taken");
    silent.catch(() => undefined);
  });

  it("does not take over from a slow maker that shows signs of life", async () => {
    const once = new OncePerIsolate<string>();
    const time = clock();
    const slow = once.get(async (making) => {
      for (let chunk = 0; chunk < 100; chunk += 1) {
        await time.sleep(1000);
        making.alive();
      }
      return "slow";
    }, time);
    const waiting = once.get(() => Promise.resolve("hasty"), time);
    expect(await Promise.all([slow, waiting])).toEqual(["slow", "slow"]);
  });

  it("gives those who waited the same failure, and tries again later", async () => {
    const once = new OncePerIsolate<string>();
    const time = clock();
    let tries = 0;
    const failing = async (): Promise<string> => {
      tries += 1;
      await time.sleep(10);
      throw new Error("broken");
    };
    const results = await Promise.allSettled([1, 2, 3].map(() => once.get(failing, time)));
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(once.get(failing, time)).rejects.toThrow("broken");
    expect(tries).toBe(1);
    await time.sleep(6000);
    expect(await once.get(() => Promise.resolve("well"), time)).toBe("well");
  });

  it("fails for good once poisoned", async () => {
    const once = new OncePerIsolate<string>();
    const time = clock();
    await once.get(() => Promise.resolve("value"), time);
    once.poison(new Error("trap"));
    await time.sleep(1e9);
    expect(once.value).toBeUndefined();
    await expect(once.get(() => Promise.resolve("other"), time)).rejects.toThrow("trap");
  });
});
