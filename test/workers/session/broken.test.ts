/** What a call to an object costs where its file is sound, and what failures are taken for a broken one. */
import { expect, test } from "vitest";
import { guarded } from "../../../workers/session/storage/broken.ts";

const internal = (reference: string) => new Error(`internal error; reference = ${reference}`);

/** An object whose calls answer in this order, with those that were made, of it and of the others of its kind. */
function objectThat(...answers: readonly unknown[]) {
  const calls: string[] = [];
  const answer = (call: string) => () => {
    const next = answers[calls.length];
    calls.push(call);
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const objects = { getByName: (name: string) => ({ rename: answer(`${name}.rename`), facts: answer(`${name}.facts`) }) };
  return { calls, object: guarded(objects, "one", "conversation", (stub) => stub.facts()) };
}

const [renamed, looked, control] = ["one.rename", "one.facts", "control.facts"];

test("a sound object is called once", async () => {
  const { calls, object } = objectThat("renamed", "facts");
  expect(await object.rename()).toBe("renamed");
  expect(calls).toEqual([renamed]);
});

test.each([
  ["the object's own error", [new Error("the name is taken")], [renamed]],
  ["a lost connection", [new Error("Network connection lost.")], [renamed]],
  ["what the runtime says will pass", [Object.assign(internal("one"), { retryable: true })], [renamed]],
  ["an accident of the runtime, after which the object answers", [internal("one"), "facts"], [renamed, looked]],
  ["an accident, and then another failure", [internal("one"), new Error("Network connection lost.")], [renamed, looked]],
  ["an accident that takes its time", [internal("one"), internal("two"), internal("three"), "facts"], [renamed, looked, looked, looked]],
  [
    "an accident that other objects have too",
    ["one", "two", "three", "four", "control"].map(internal),
    [renamed, looked, looked, looked, control],
  ],
])("%s stays what it is, and nothing is done twice", async (_name, answers, made) => {
  const { calls, object } = objectThat(...answers);
  await expect(object.rename()).rejects.toBe(answers[0]);
  expect(calls).toEqual(made);
});

test.each([
  ["SQLite's words", [new Error("database disk image is malformed: SQLITE_CORRUPT")], [renamed]],
  [
    "internal errors that stay, of this object alone",
    [...["one", "two", "three", "four"].map(internal), "facts"],
    [renamed, looked, looked, looked, control],
  ],
])("%s are a broken file", async (_name, answers, made) => {
  const { calls, object } = objectThat(...answers);
  await expect(object.rename()).rejects.toMatchObject({
    failure: { code: "storage_corrupt", status: 500, retryable: false, message: expect.stringContaining("this conversation") as string },
  });
  expect(calls).toEqual(made);
});
