import { describe, expect, it } from "vitest";
import { checkArrows, type Room } from "../../../infra/checks/arrows.ts";
import { importsOf } from "../../../infra/checks/imports.ts";
import { drawnRooms } from "../../../infra/checks/rooms.ts";
import { checkoutWith, described } from "./checkout.ts";

const rooms: readonly Room[] = [
  { path: "w/contracts", imports: [] },
  { path: "w/session", imports: ["w/contracts", "w/session"] },
  { path: "w/session/answers", imports: ["w/contracts", "w/session/generation"] },
  { path: "w/session/generation", imports: ["w/contracts"], types: ["w/session/answers"] },
];

function problemsOf(files: Readonly<Record<string, string>>): string[] {
  return described(checkArrows(checkoutWith(files), rooms, ["w"]));
}

describe("arrows between rooms", () => {
  it("are followed along them, inside a room, to packages and outside the folders that are looked at", () => {
    expect(
      problemsOf({
        "w/session/index.ts": 'import { a } from "./answers/a.ts";\nimport { b } from "./b.ts";\nimport { Hono } from "hono";\n',
        "w/session/answers/a.ts": 'export * from "../generation/run.ts";\nimport { c } from "./deep/c.ts";\n',
        "w/session/answers/deep/c.ts": 'import type { C } from "../../../contracts/c.ts";\n',
        "w/session/generation/run.ts": 'import type { A } from "../answers/a.ts";\nlet x: import("../answers/a.ts").A;\n',
        "elsewhere/x.ts": 'import "../w/session/index.ts";\n',
      }),
    ).toEqual([]);
  });

  it.each([
    ["import", 'import { a } from "../answers/a.ts";'],
    ["bare import", 'import "../answers/a.ts";'],
    ["export", 'export { a } from "../answers/a.ts";'],
    ["import at run time", 'const a = await import("../answers/a.ts");'],
    ["import of a value beside a type", 'import { type A, a } from "../answers/a.ts";'],
  ])("may not be gone back by an %s", (_name, line) => {
    expect(problemsOf({ "w/session/generation/run.ts": `// one\n${line}\n` })).toEqual([
      "w/session/generation/run.ts:2: imports w/session/answers/a.ts, more than a type: no arrow leads from w/session/generation to w/session/answers",
    ]);
  });

  it("may not be gone back for a type where only the other way is drawn", () => {
    expect(problemsOf({ "w/contracts/c.ts": 'import type { S } from "../session/index.ts";\n' })).toEqual([
      "w/contracts/c.ts:1: imports w/session/index.ts: no arrow leads from w/contracts to w/session",
    ]);
  });

  it("lead to no place that is no room, and every file is in a room", () => {
    expect(problemsOf({ "w/contracts/c.ts": 'import { x } from "../../x.ts";\n', "w/other/o.tsx": "" })).toEqual([
      "w/contracts/c.ts:1: imports x.ts, more than a type: no arrow leads from w/contracts to a place that is no room",
      "w/other/o.tsx:1: belongs to no room; infra/checks/rooms.ts must say what it may import",
    ]);
  });
});

describe("imports", () => {
  it("are those of the syntax, and not of strings and comments", () => {
    const text =
      'const s = "import x from \'./s.ts\'"; // import "./c.ts"\nconst r = /`/;\nconst e = <p>import "./j.ts"</p>;\nexport type { T } from "./t.ts";\n';
    expect(importsOf("x.tsx", text)).toEqual([{ specifier: "./t.ts", isType: true, line: 4 }]);
  });
});

describe("the rooms", () => {
  const reached = (from: string): Set<string> => {
    const seen = new Set<string>();
    const visit = (path: string): void => {
      for (const room of drawnRooms) {
        if (seen.has(room.path) || !drawnRooms.find((one) => one.path === path)?.imports.some((to) => room.path === to)) continue;
        seen.add(room.path);
        visit(room.path);
      }
    };
    visit(from);
    return seen;
  };

  it("have no arrow back from generation and snapshots to answers, nor from anywhere to the gateway and the page", () => {
    expect(reached("workers/session/answers")).toContain("workers/session/snapshots");
    expect([...reached("workers/session/sessions")]).not.toContain("workers/session/answers");
    expect([...reached("workers/session/generation")]).not.toContain("workers/session/sessions");
    expect([...reached("workers/session/snapshots")]).not.toContain("workers/session/generation");
    for (const room of drawnRooms.filter(({ path }) => path.startsWith("workers/") || path.startsWith("infra/"))) {
      expect([...reached(room.path)]).not.toContain("workers/gateway");
      expect([...reached(room.path)]).not.toContain("workers/page");
    }
  });

  it("let the page reach contracts, their encoding and what waits alone, and wasm nothing", () => {
    expect([...reached("workers/page")]).toEqual(["workers/contracts", "workers/encoding", "workers/waiting"]);
    expect([...reached("wasm"), ...reached("wasm/pkg")]).toEqual([]);
  });
});
