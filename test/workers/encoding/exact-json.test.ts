import { describe, expect, test } from "vitest";
import { digitsOf, integerOf, parseExact, withPythonNumbers } from "../../../workers/encoding/exact-json.ts";

describe("JSON whose numbers keep their digits", () => {
  const written = [
    "9007199254740993",
    "-12345678901234567890",
    "9223372036854775808",
    "0.1234567890123456789",
    "1e999",
    "-1e-999",
    "1.0000000000000000001",
    "1000000000000000000000000000000000001",
  ];

  test.each(written)("is written as it was: %s", (number) => {
    const text = `{"a":[${number},1],"b":"${number}"}`;
    const value = parseExact(text) as { readonly a: readonly unknown[] };
    expect(JSON.stringify(value)).toBe(text);
    expect(digitsOf(value.a[0])).toBe(number);
  });

  test.each([
    "1",
    "-0",
    "0.1",
    "1.50",
    "100e-1",
    "1e300",
    "9007199254740992",
    "3.4028235E38",
    "1.7976931348623157e+308",
    "5e-324",
    "0e999",
  ])("is a double where that has them all: %s", (number) => {
    expect(parseExact(`[${number}]`)).toEqual([Number(number)]);
    expect(digitsOf((parseExact(`[${number}]`) as unknown[])[0])).toBeUndefined();
  });

  test("integers are those that were written", () => {
    expect((parseExact("[9007199254740993,1e23,2.0,-12e1,0.5,1e999,0]") as unknown[]).map(integerOf)).toEqual([
      9007199254740993n,
      10n ** 23n,
      2n,
      -120n,
      undefined,
      undefined,
      0n,
    ]);
    expect([integerOf("1"), integerOf(null), digitsOf({ rawJSON: "1" })]).toEqual([undefined, undefined, undefined]);
  });

  test("Python reads integers of any length, and doubles", () => {
    expect(withPythonNumbers(parseExact('{"a":[9007199254740993,9007199254740992,-1,1e999,1e21],"b":0.1234567890123456789}'))).toEqual({
      a: [9007199254740993n, 9007199254740992n, -1, Infinity, 1e21],
      b: 0.12345678901234568,
    });
  });

  test("what is no JSON is an error", () => {
    expect(() => parseExact("[9007199254740993")).toThrow(SyntaxError);
  });
});
