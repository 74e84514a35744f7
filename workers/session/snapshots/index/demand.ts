/** How often prefixes are asked for whose state is not there: from the third time on saving one pays. */
import { digestBytes } from "./chain.ts";
import { pageTokens } from "../../../state-file/page.ts";
import type { TokenChain } from "../contract.ts";
import { nodeOf } from "./prefix-index.ts";

const mostRows = 4_096;
/** Of which so many are left when there are more. */
const rowsLeft = 3_072;
const halfLifeMilliseconds = 86_400_000;
/** The third time, if the first was not long ago. */
const enoughDemand = 2.5;
/** Up to here every page is counted; then eight between a number and its double, so that a text of a million tokens is some hundred rows. */
const densePages = 16;
const stepsPerOctave = 8;

export class Demand {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Counts the text's prefixes beyond what has a state. The longest that has come often enough, in tokens, below the text's length. */
  note(chain: TokenChain, coveredTokens: number, now: number): number | null {
    let often: number | null = null;
    for (const pages of ladder(chain.pages.length / digestBytes)) {
      const tokens = pages * pageTokens;
      if (tokens <= coveredTokens || tokens >= chain.tokens) continue;
      if (this.#count(nodeOf(chain, pages - 1), now) >= enoughDemand) often = tokens;
    }
    this.#prune();
    return often;
  }

  #count(digest: string, now: number): number {
    const [row] = this.#sql.exec<{ count: number; at: number }>("SELECT count, at FROM asked WHERE digest = ?", digest).toArray();
    // A clock that was set back makes nothing younger.
    const left = row === undefined ? 0 : row.count * 0.5 ** (Math.max(0, now - row.at) / halfLifeMilliseconds);
    this.#sql.exec("INSERT OR REPLACE INTO asked (digest, count, at) VALUES (?, ?, ?)", digest, left + 1, now);
    return left + 1;
  }

  #prune(): void {
    const { rows } = this.#sql.exec<{ rows: number }>("SELECT count(*) AS rows FROM asked").one();
    if (rows <= mostRows) return;
    this.#sql.exec("DELETE FROM asked WHERE digest IN (SELECT digest FROM asked ORDER BY count > 1.5, at LIMIT ?)", rows - rowsLeft);
  }
}

function* ladder(most: number): Generator<number> {
  for (let pages = 1; pages <= most; pages += Math.max(1, 2 ** Math.floor(Math.log2(pages / densePages)) * (densePages / stepsPerOctave)))
    yield pages;
}
