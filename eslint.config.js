import tseslint from "typescript-eslint";

// Constants are spelled as all variables are. What others name keeps their spelling: properties, and what is taken out of an object.
const spelling = [
  { selector: "variableLike", format: ["camelCase"], leadingUnderscore: "allow" },
  { selector: ["variable", "parameter"], modifiers: ["destructured"], format: null },
  { selector: "typeLike", format: ["PascalCase"] },
];

export default tseslint.config(
  {
    ignores: [
      "dist/",
      "node_modules/",
      "wasm/pkg/",
      "wasm/target/",
      ".cache/",
      "**/.wrangler/",
      "gpu-backend/.venv/",
      "**/*.mjs",
      "**/*.js",
      "**/*.d.ts",
      "vitest.config.ts",
    ],
  },
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      // A number reads the same with and without String() around it.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // A loop that ends from inside reads best as `while (true)`.
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: "only-allowed-literals" }],
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true, argsIgnorePattern: "^_" }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/naming-convention": ["error", ...spelling],
    },
  },
  {
    // A component of the page is a value with a type's spelling.
    files: ["workers/page/src/**", "test/page/**"],
    rules: {
      "@typescript-eslint/naming-convention": [
        "error",
        ...spelling,
        { selector: ["function", "variable", "parameter"], format: ["camelCase", "StrictPascalCase"], leadingUnderscore: "allow" },
      ],
    },
  },
);
