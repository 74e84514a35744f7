import { describe, expect, it } from "vitest";
import { checkCircles } from "../../../infra/checks/circles.ts";
import { checkoutWith, described } from "./checkout.ts";

const problemsOf = (files: Readonly<Record<string, string>>): string[] => described(checkCircles(checkoutWith(files), ["w"]));

describe("circles of imports", () => {
  it("are none where several ways lead to one file, where types alone lead back, and outside the folders", () => {
    expect(
      problemsOf({
        "w/a.ts": 'import { b } from "./b.ts";\nimport { c } from "./c.ts";\n',
        "w/b.ts": 'import { c } from "./c.ts";\nimport type { A } from "./a.ts";\n',
        "w/c.ts": 'import { d } from "package";\n',
        "elsewhere/x.ts": 'import "./y.ts";\n',
        "elsewhere/y.ts": 'import "./x.ts";\n',
      }),
    ).toEqual([]);
  });

  it("are named from where they begin, by the line, however long and through an export or an import at run time", () => {
    expect(
      problemsOf({
        "w/index.ts": 'import "./deep/b.ts";\n',
        "w/a.ts": '// one\nexport * from "./deep/b.ts";\n',
        "w/deep/b.ts": 'const c = await import("../c.ts");\n',
        "w/c.ts": 'import { a } from "./a.ts";\n',
      }),
    ).toEqual(["w/a.ts:2: imports itself in a circle: w/a.ts -> w/deep/b.ts -> w/c.ts -> w/a.ts"]);
  });

  it("are told of each by itself", () => {
    expect(
      problemsOf({
        "w/a.ts": 'import "./b.ts";\nimport "./c.ts";\n',
        "w/b.ts": 'import "./a.ts";\n',
        "w/c.ts": 'import "./a.ts";\n',
      }),
    ).toHaveLength(2);
  });
});
