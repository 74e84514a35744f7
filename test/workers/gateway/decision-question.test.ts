/** Questions as a model reads them, and what their probabilities come to. */
import { describe, expect, test } from "vitest";
import { calibrated } from "../../../workers/gateway/decisions/calibrated.ts";
import { averaged, writeBothOrders } from "../../../workers/gateway/decisions/question.ts";

const letters = ["A", "B", "C"];
const options = [{ name: "red" }, { name: "green", description: "as grass" }, { name: "blue" }];

describe("a question", () => {
  test("by letters is asked in both orders, and an option keeps its place in the answer", () => {
    const [first, second] = writeBothOrders({ instructions: "Which colour?", options, labels: "letters" }, letters);
    expect(first.text).toBe("Question: Which colour?\nA: red\nB: green - as grass\nC: blue\nAnswer with the letters of one option only.");
    expect(first.labels).toEqual(["A", "B", "C"]);
    expect(second.text).toContain("A: blue\nB: green - as grass\nC: red");
    expect(second.labels).toEqual(["C", "B", "A"]);
  });

  test("of levels keeps each level's number in both orders", () => {
    const [first, second] = writeBothOrders({ instructions: "", options, labels: "digits" }, letters);
    expect(first.text).toMatch(/^0: red\n1: green/);
    expect(second.text).toMatch(/^2: blue\n1: green/);
    expect(second.labels).toEqual(["0", "1", "2"]);
  });

  test("of yes or no has no options to write", () => {
    const [first, second] = writeBothOrders(
      { instructions: "Is it?", options: [{ name: "" }, { name: "" }], labels: "yes_or_no" },
      letters,
    );
    expect(first.text).toBe("Question: Is it?\nYes\nNo\nAnswer with Yes or No only.");
    expect(second.text).toBe("Question: Is it?\nNo\nYes\nAnswer with Yes or No only.");
  });
});

test("probabilities are those among the labels, averaged, beside what the labels have of all", () => {
  const { options: probabilities, labelMass } = averaged([
    [Math.log(0.3), Math.log(0.1)],
    [Math.log(0.1), Math.log(0.4)],
  ]);
  expect(probabilities[0]).toBeCloseTo((0.75 + 0.2) / 2, 12);
  expect(probabilities[1]).toBeCloseTo((0.25 + 0.8) / 2, 12);
  expect(labelMass).toBeCloseTo(0.45, 12);
  expect(averaged([[Math.log(0.3), Math.log(0.1)]], [[Math.log(0.6), Math.log(0.1)]])).toEqual({
    options: [expect.closeTo(1 / 3, 12), expect.closeTo(2 / 3, 12)],
    labelMass: expect.closeTo(0.4, 12) as number,
  });
  expect(averaged([[-3.4e38, -3.4e38]])).toEqual({ options: [0.5, 0.5], labelMass: 0 });
});

test("a temperature moves probabilities together or apart, and keeps their order", () => {
  expect(calibrated([0.9, 0.1], 1)).toEqual([0.9, 0.1]);
  expect(calibrated([0.9, 0.1], 2)).toEqual([expect.closeTo(0.75, 12), expect.closeTo(0.25, 12)]);
  expect(calibrated([0.2, 0.5, 0.3], 0.05)[1]).toBeGreaterThan(0.99);
  expect(calibrated([1, 0], 3)).toEqual([1, 0]);
});
