import { describe, expect, it } from "vitest";
import { checkErasure } from "../../../infra/checks/erasure.ts";
import { checkoutWith, described } from "./checkout.ts";

const helper = "workers/session/storage/erase.ts";
const problemsOf = (text: string, file = "workers/session/answers/rows.ts") =>
  described(checkErasure(checkoutWith({ [helper]: 'export const streamText = ["orders", "log"] as const;', [file]: text })));

describe("deleted text", () => {
  it("leaves by the helper, and what holds no text leaves as it likes", () => {
    expect(problemsOf("removeText(sql, 'log', '1'); sql.exec(`CREATE TABLE log (a)`); sql.exec(`DELETE FROM owners`);")).toEqual([]);
  });

  it.each(["DELETE FROM log", "DELETE FROM orders WHERE a", "DROP TABLE IF EXISTS log"])("may not leave by %s", (statement) => {
    expect(problemsOf(`one\n${statement}`)).toEqual([
      expect.stringMatching(/^workers\/session\/answers\/rows\.ts:2: deletes from '(log|orders)'/),
    ]);
  });

  it("may not leave a table that is named at run time, but for a tenant's states, which are sealed", () => {
    expect(problemsOf("DELETE FROM ${table}")).toEqual([expect.stringContaining("named at run time")]);
    expect(problemsOf("DELETE FROM ${table}", "workers/session/snapshots/rows.ts")).toEqual([]);
  });

  it("asks of a new table whether it holds text", () => {
    expect(problemsOf("CREATE TABLE IF NOT EXISTS notes (text)")).toEqual([expect.stringContaining("'notes', which must be listed")]);
  });
});
