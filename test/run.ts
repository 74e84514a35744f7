/** `npm test [-- SUITE…]`: sets up what the suites need, runs them one after another, and ends with `N passed, N failed` over all of them. */
import { sum, type Counts } from "./runner/counts.ts";
import { setUpAll } from "./runner/setup.ts";
import { suites } from "./runner/suites.ts";

async function main(names: readonly string[]): Promise<Counts> {
  const known = suites.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`There is no suite "${unknown}"; the suites are ${known.join(", ")}.`);
  const chosen = suites.filter(({ name }) => names.length === 0 || names.includes(name));

  const begin = performance.now();
  const broken = await setUpAll(new Set(chosen.flatMap(({ needs }) => needs)));
  console.log(`set up in ${secondsSince(begin).toFixed(0)} s`);

  const results: { readonly name: string; readonly counts: Counts; readonly seconds: number }[] = [];
  for (const suite of chosen) {
    console.log(`\n=== ${suite.name} ===`);
    const begin = performance.now();
    let counts: Counts;
    try {
      const missing = suite.needs.find((requirement) => broken.has(requirement));
      if (missing !== undefined) throw new Error(broken.get(missing));
      counts = await suite.run();
    } catch (error) {
      console.error(messageOf(error));
      counts = { passed: 0, failed: 1 };
    }
    results.push({ name: suite.name, counts, seconds: secondsSince(begin) });
  }

  console.log("");
  for (const { name, counts, seconds } of results) {
    console.log(`${name.padEnd(8)} ${String(counts.passed)} passed, ${String(counts.failed)} failed (${seconds.toFixed(0)} s)`);
  }
  return sum(results.map(({ counts }) => counts));
}

function secondsSince(begin: number): number {
  return (performance.now() - begin) / 1000;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

let total: Counts = { passed: 0, failed: 1 };
try {
  total = await main(process.argv.slice(2));
} catch (error) {
  console.error(messageOf(error));
}
console.log(`${String(total.passed)} passed, ${String(total.failed)} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
