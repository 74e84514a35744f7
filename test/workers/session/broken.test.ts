/** What a call to an object costs where its file is sound, and what failures are taken for a broken one. */
import { expect, test } from "vitest";
import { guarded } from "../../../workers/session/storage/broken.ts";

const internal = (reference: string) => new Error(`internal error; reference = ${reference}`);

/** An object whose calls answer in this order, with the names of those that were made. */
function objectThat(...answers: readonly unknown[]) {
  const calls: string[] = [];
  const answer = (name: string) => () => {
    const next = answers[calls.length];
    calls.push(name);
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const stub = { rename: answer("rename"), facts: answer("facts") };
  return { calls, object: guarded(stub, "conversation", (one) => one.facts()) };
}

test("a sound object is called once", async () => {
  const { calls, object } = objectThat("renamed", "facts");
  expect(await object.rename()).toBe("renamed");
  expect(calls).toEqual(["rename"]);
});

test.each([
  ["the object's own error", [new Error("the name is taken")], ["rename"]],
  ["a lost connection", [new Error("Network connection lost.")], ["rename"]],
  ["an accident of the runtime, after which the object answers", [internal("one"), "facts"], ["rename", "facts"]],
  ["an accident, and then another failure", [internal("one"), new Error("Network connection lost.")], ["rename", "facts"]],
])("%s stays what it is, and nothing is done twice", async (_name, answers, made) => {
  const { calls, object } = objectThat(...answers);
  await expect(object.rename()).rejects.toBe(answers[0]);
  expect(calls).toEqual(made);
});

test.each([
  ["SQLite's words", [new Error("database disk image is malformed: SQLITE_CORRUPT")], ["rename"]],
  ["an internal error that the next call has as well", [internal("one"), internal("two")], ["rename", "facts"]],
])("%s are a broken file", async (_name, answers, made) => {
  const { calls, object } = objectThat(...answers);
  await expect(object.rename()).rejects.toMatchObject({
    failure: { code: "storage_corrupt", status: 500, retryable: false, message: expect.stringContaining("this conversation") as string },
  });
  expect(calls).toEqual(made);
});
