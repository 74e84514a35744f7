import { describe, expect, it } from "vitest";
import { checkArchitecture } from "../../../infra/checks/architecture.ts";
import { checkoutWith, described } from "./checkout.ts";

const files = {
  "workers/gateway/app.ts": "",
  "workers/gateway/http/answer.ts": "",
  "workers/engine/scheduler.ts": "",
  "workers/engine/step-plan.ts": "",
  "test/gateway/app.test.ts": "",
  "test/engine/step-plan.test.ts": "",
};
const gateway = "| change the gateway | `workers/gateway` | `test/gateway/app.test.ts` |";
const engine = "| change who runs | `workers/engine/{scheduler,step-plan}.ts`, then `npm run bench` | `test/engine/*.test.ts` |";

function problemsOf(rows: readonly string[], text = "", more: Readonly<Record<string, string>> = {}): string[] {
  const table = ["## To change X", "", "| I want to | touch | proven by |", "| --- | --- | --- |", ...rows].join("\n");
  return described(checkArchitecture(checkoutWith({ ...files, ...more, "ARCHITECTURE.md": `${text}\n\n${table}\n` })));
}

describe("ARCHITECTURE.md", () => {
  it("holds where its paths exist and its table covers every source file", () => {
    const text =
      "`workers/gateway`, `app.ts`, `http/answer.ts`, `engine/`, `/v1/models`, `npm run check`, `linear+window`, `a.b`\n\n```\nworkers/gateway -> workers/engine\n```";
    expect(problemsOf([gateway, engine], text)).toEqual([]);
  });

  it("may not name a path in its text that is not there", () => {
    expect(problemsOf([gateway, engine], "One.\n\n`workers/gone`, `swer.ts`, `gone.rs`")).toEqual([
      "ARCHITECTURE.md:3: names workers/gone, which is no tracked file or folder, nor the end of one's path",
      "ARCHITECTURE.md:3: names swer.ts, which is no tracked file or folder, nor the end of one's path",
      "ARCHITECTURE.md:3: names gone.rs, which is no tracked file or folder, nor the end of one's path",
    ]);
  });

  it("may not name one in a drawing", () => {
    expect(problemsOf([gateway, engine], "```\nworkers/gone\n```")).toEqual([
      "ARCHITECTURE.md:1: names workers/gone, which is no tracked file or folder, nor the end of one's path",
    ]);
  });

  it("may not name one in its table that is not there, nor by a part of its path", () => {
    const row =
      "| change x | `workers/engine/{scheduler,gone}.ts`, `step-plan.ts`, `workers/engine` | `test/gateway/gone_*.ts`, `test/engine` |";
    expect(problemsOf([gateway, row])).toEqual([
      "ARCHITECTURE.md:8: the table names step-plan.ts, which is no path of a tracked file or folder from the root",
      "ARCHITECTURE.md:8: the table names test/gateway/gone_*.ts, which is no path of a tracked file or folder from the root",
    ]);
  });

  it("may not have a source file that no row covers", () => {
    expect(problemsOf([gateway], "", { "infra/tool.py": "", "infra/data.json": "" })).toEqual([
      'workers/engine/scheduler.ts:1: no row of ARCHITECTURE.md\'s table "To change X" names this file or a folder that it is in',
      'workers/engine/step-plan.ts:1: no row of ARCHITECTURE.md\'s table "To change X" names this file or a folder that it is in',
      'infra/tool.py:1: no row of ARCHITECTURE.md\'s table "To change X" names this file or a folder that it is in',
    ]);
  });

  it("does not take a folder's name for the beginning of another's", () => {
    expect(problemsOf([gateway, engine], "", { "workers/gateway-two/x.ts": "" })).toEqual([
      'workers/gateway-two/x.ts:1: no row of ARCHITECTURE.md\'s table "To change X" names this file or a folder that it is in',
    ]);
  });

  it("may not have a row without a test", () => {
    expect(problemsOf([gateway, engine, "| change x | `workers/engine` | `workers/engine`, by reading |"])).toEqual([
      'ARCHITECTURE.md:9: the row "change x" must name a test below test or wasm/engine/tests',
    ]);
  });

  it("must have the table", () => {
    expect(described(checkArchitecture(checkoutWith({ "ARCHITECTURE.md": "# A\n" })))).toEqual([
      'ARCHITECTURE.md:1: must have a table under the heading "To change X"',
    ]);
  });
});
