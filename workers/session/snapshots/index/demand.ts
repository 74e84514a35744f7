/** How often prefixes are asked for whose state is not there: from the third time on saving one pays. */
import { DIGEST_BYTES } from "./chain.ts";
import { PAGE_TOKENS } from "../../../state-file/page.ts";
import type { TokenChain } from "../contract.ts";
import { nodeOf } from "./prefix-index.ts";

const MOST_ROWS = 4_096;
/** Of which so many are left when there are more. */
const ROWS_LEFT = 3_072;
const HALF_LIFE_MILLISECONDS = 86_400_000;
/** The third time, if the first was not long ago. */
const ENOUGH = 2.5;
/** Up to here every page is counted; then eight between a number and its double, so that a text of a million tokens is some hundred rows. */
const DENSE_PAGES = 16;
const STEPS_PER_OCTAVE = 8;

export class Demand {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Counts the text's prefixes beyond what has a state. The longest that has come often enough, in tokens, below the text's length. */
  note(chain: TokenChain, coveredTokens: number, now: number): number | null {
    let often: number | null = null;
    for (const pages of ladder(chain.pages.length / DIGEST_BYTES)) {
      const tokens = pages * PAGE_TOKENS;
      if (tokens <= coveredTokens || tokens >= chain.tokens) continue;
      if (this.#count(nodeOf(chain, pages - 1), now) >= ENOUGH) often = tokens;
    }
    this.#prune();
    return often;
  }

  #count(digest: string, now: number): number {
    const [row] = this.#sql.exec<{ count: number; at: number }>("SELECT count, at FROM asked WHERE digest = ?", digest).toArray();
    // A clock that was set back makes nothing younger.
    const left = row === undefined ? 0 : row.count * 0.5 ** (Math.max(0, now - row.at) / HALF_LIFE_MILLISECONDS);
    this.#sql.exec("INSERT OR REPLACE INTO asked (digest, count, at) VALUES (?, ?, ?)", digest, left + 1, now);
    return left + 1;
  }

  #prune(): void {
    const { rows } = this.#sql.exec<{ rows: number }>("SELECT count(*) AS rows FROM asked").one();
    if (rows <= MOST_ROWS) return;
    this.#sql.exec("DELETE FROM asked WHERE digest IN (SELECT digest FROM asked ORDER BY count > 1.5, at LIMIT ?)", rows - ROWS_LEFT);
  }
}

function* ladder(most: number): Generator<number> {
  for (
    let pages = 1;
    pages <= most;
    pages += Math.max(1, 2 ** Math.floor(Math.log2(pages / DENSE_PAGES)) * (DENSE_PAGES / STEPS_PER_OCTAVE))
  )
    yield pages;
}
