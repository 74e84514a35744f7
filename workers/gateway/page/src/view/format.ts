export function formatCount(count: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(count);
}

export function formatSeconds(milliseconds: number, locale: string): string {
  const digits = milliseconds < 10_000 ? 2 : 1;
  const number = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${number.format(milliseconds / 1000)} s`;
}

export function formatRate(perSecond: number, locale: string): string {
  return new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(perSecond);
}

/** A share from 0 to 1. */
export function formatPercent(share: number, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 }).format(share);
}

/** Decimal megabytes, with one digit behind the point where that says something. */
export function formatMegabytes(bytes: number, locale: string): string {
  const megabytes = bytes / 1e6;
  const digits = megabytes < 100 ? 1 : 0;
  const format = { style: "unit", unit: "megabyte", minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return new Intl.NumberFormat(locale, format).format(megabytes);
}
