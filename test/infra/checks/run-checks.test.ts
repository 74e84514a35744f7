import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeResult, runChecks, type Check } from "../../../infra/checks/run-checks.ts";

/** Checks that note when they begin and end; each lasts for as long as it is told to. */
class Recorder {
  readonly events: string[] = [];
  readonly shown: string[] = [];
  most = 0;
  #running = 0;

  check(name: string, turns: number, more: Partial<Check> = {}): Check {
    return {
      name,
      run: async () => {
        this.events.push(`${name} begins`);
        this.most = Math.max(this.most, ++this.#running);
        for (let turn = 0; turn < turns; turn++) await delay(1);
        this.#running -= 1;
        this.events.push(`${name} ends`);
        return { isPassed: true, output: `${name} says\n` };
      },
      ...more,
    };
  }

  async run(...checks: Check[]): Promise<void> {
    await runChecks(checks, (check, result) => this.shown.push(describeResult(check, { ...result, seconds: 0 })));
  }
}

it("runs two checks at a time, and shows each whole when it ends", async () => {
  const recorder = new Recorder();
  await recorder.run(recorder.check("long", 60), recorder.check("a", 1), recorder.check("b", 1), recorder.check("c", 1));
  expect(recorder.most).toBe(2);
  expect(recorder.shown).toEqual(["- a (0 s)\na says", "- b (0 s)\nb says", "- c (0 s)\nc says", "- long (0 s)\nlong says"]);
});

it("runs one at a time of those that need the same, and others beside it", async () => {
  const recorder = new Recorder();
  const alone = "wasm";
  await recorder.run(recorder.check("first", 20, { alone }), recorder.check("second", 1, { alone }), recorder.check("other", 1));
  expect(recorder.events.slice(0, 2)).toEqual(["first begins", "other begins"]);
  expect(recorder.events.indexOf("second begins")).toBeGreaterThan(recorder.events.indexOf("first ends"));
  expect(recorder.shown).toHaveLength(3);
});

it("goes on after a check that fails, and after one that throws, which says why", async () => {
  const recorder = new Recorder();
  const failed = { isPassed: false, output: "src/a.ts:1: wrong\n" };
  await recorder.run(
    recorder.check("fails", 0, { run: () => Promise.resolve(failed) }),
    recorder.check("throws", 0, {
      run: () => {
        throw new Error("it can't be started");
      },
    }),
    recorder.check("after", 1),
  );
  expect(recorder.shown.sort()).toEqual([
    "- after (0 s)\nafter says",
    "- fails (0 s): failed\nsrc/a.ts:1: wrong",
    "- throws (0 s): failed\nit can't be started",
  ]);
});
