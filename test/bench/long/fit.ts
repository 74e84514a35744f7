/** A token's time by how much lies before it, and what a whole text takes by it. */

export interface Line {
  readonly at: number;
  readonly slope: number;
}

/** Least squares of the relative errors: of times that lie a hundredfold apart the small ones would not count otherwise. */
export function fitLine(points: readonly { readonly x: number; readonly y: number }[]): Line {
  let [w, x, y, xx, xy] = [0, 0, 0, 0, 0];
  for (const point of points) {
    const weight = 1 / point.y ** 2;
    w += weight;
    x += weight * point.x;
    y += weight * point.y;
    xx += weight * point.x * point.x;
    xy += weight * point.x * point.y;
  }
  const slope = (w * xy - x * y) / (w * xx - x * x);
  return { at: (y - slope * x) / w, slope };
}

/** The sum of the line over the tokens of a text, in its unit. */
export function timeToFirstToken({ at, slope }: Line, tokens: number): number {
  return at * tokens + (slope * tokens * tokens) / 2;
}
