/** How often an answer's records are written: the disk holds up whatever the object does. Time is the test's own. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AnswerLog } from "../../../../workers/session/answers/answer-log.ts";
import { InMemoryLogRows } from "../../../../workers/session/answers/log-rows.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([
  { choices: 1, afterTenth: 0, afterHalf: 1 },
  { choices: 2, afterTenth: 1, afterHalf: 5 },
])("of $choices choices: what readers wait for soon, and all else twice a second", async ({ choices, afterTenth, afterHalf }) => {
  const rows = new InMemoryLogRows();
  const append = vi.spyOn(rows, "append");
  const flushed = vi.fn();
  const log = new AnswerLog(rows, choices, flushed);
  for (let step = 0; step < 5; step++) {
    log.append({ type: "event", job: 0, event: { type: "token", id: step } });
    await vi.advanceTimersByTimeAsync(100);
    if (step === 0) expect(append).toHaveBeenCalledTimes(afterTenth);
  }
  expect(append).toHaveBeenCalledTimes(afterHalf);
  expect(flushed).toHaveBeenCalledTimes(afterHalf);
  expect(Array.from(log.read(), (record) => (record.type === "event" && record.event.type === "token" ? record.event.id : -1))).toEqual([
    0, 1, 2, 3, 4,
  ]);
});
