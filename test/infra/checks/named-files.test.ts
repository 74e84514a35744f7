import { expect, it } from "vitest";
import { checkNamedFiles } from "../../../infra/checks/named-files.ts";
import { checkoutWith, described } from "./checkout.ts";

function problemsOf(files: Readonly<Record<string, string>>): string[] {
  return described(checkNamedFiles(checkoutWith({ "src/engine/plan.ts": "", "src/engine/run_test.py": "", ...files })));
}

it("names in Markdown and comments are paths from the root, or ends of one", () => {
  const text =
    "`src/engine/plan.ts`, `engine/plan.ts`, `plan.ts`, `src/engine/{plan,none}.ts`, `*_test.py`, `npm run x.ts`, `made.json`, `.ts`";
  expect(
    problemsOf({
      "README.md": text,
      "src/a.ts": `// ${text}\nconst glob = "src/*.ts";\nconst name = "// \`none.ts\`";\n`,
      "src/a.rs": `//! ${text}\n`,
      "src/a.py": `"""${text}"""\n`,
      "CHANGELOG.md": "`gone.ts`",
      "test/bench/records/2026-01-01-x.md": "`gone.ts`",
    }),
  ).toEqual([]);
});

it.each([
  ["README.md", "One.\n\n- two\n- `src/engine/gone.ts`\n", 4, "src/engine/gone.ts"],
  ["README.md", "`lan.ts`", 1, "lan.ts"],
  ["src/a.ts", "const glob = '/*';\n/**\n * As `gone.ts`.\n */\n", 3, "gone.ts"],
  ["src/a.tsx", "const a = <p>text</p>; // `engine/gone.py`\n", 1, "engine/gone.py"],
  ["src/a.ts", "class A {\n  // `gone.rs`\n}\n", 2, "gone.rs"],
  ["src/a.rs", "/// `gone.rs`\n", 1, "gone.rs"],
  ["src/a.py", '"""One.\n\nTwo `gone.py`."""\n', 3, "gone.py"],
])("a name of a file that is not there is found: %s %j", (file, text, line, path) => {
  expect(problemsOf({ [file]: text })).toEqual([`${file}:${line}: names ${path}, which is no tracked file, nor the end of one's path`]);
});
