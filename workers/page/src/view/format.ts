export function formatCount(count: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(count);
}

/** In words, to three digits: "135 million". */
export function formatParameters(count: number, locale: string): string {
  return new Intl.NumberFormat(locale, { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 3 }).format(count);
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

/** A date and the time of day, from Unix seconds. */
export function formatDate(seconds: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(seconds * 1000);
}

/** Decimal kilobytes or megabytes, whichever reads better. */
export function formatSize(bytes: number, locale: string): string {
  if (bytes >= 1e6) return formatMegabytes(bytes, locale);
  const format = { style: "unit", unit: "kilobyte", maximumFractionDigits: bytes < 10_000 ? 1 : 0 } as const;
  return new Intl.NumberFormat(locale, format).format(bytes / 1000);
}
