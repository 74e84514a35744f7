/** Python's `strftime`, in UTC and English. */
import { TemplateError } from "./jinja/values.ts";

const dayMilliseconds = 86_400_000;

type Directive = (now: Date) => string;

const padded =
  (width: number, value: (now: Date) => number, fill = "0"): Directive =>
  (now) =>
    String(value(now)).padStart(width, fill);

const named =
  (options: Intl.DateTimeFormatOptions): Directive =>
  (now) =>
    now.toLocaleDateString("en-US", { ...options, timeZone: "UTC" });

const hour12 = (now: Date): number => now.getUTCHours() % 12 || 12;
const dayOfYear = (now: Date): number => Math.floor((now.getTime() - Date.UTC(now.getUTCFullYear(), 0, 1)) / dayMilliseconds) + 1;
/** Full weeks that begin on the day, counted from the year's first. */
const week = (now: Date, firstDay: number): number => Math.floor((dayOfYear(now) + 6 - ((now.getUTCDay() + 7 - firstDay) % 7)) / 7);
/** The Thursday of its week decides which year an ISO week belongs to. */
const thursday = (now: Date): Date => new Date(now.getTime() + (4 - (now.getUTCDay() || 7)) * dayMilliseconds);

const directives: Readonly<Record<string, Directive>> = {
  Y: padded(1, (now) => now.getUTCFullYear()),
  y: padded(2, (now) => now.getUTCFullYear() % 100),
  C: padded(2, (now) => Math.floor(now.getUTCFullYear() / 100)),
  m: padded(2, (now) => now.getUTCMonth() + 1),
  d: padded(2, (now) => now.getUTCDate()),
  e: padded(2, (now) => now.getUTCDate(), " "),
  H: padded(2, (now) => now.getUTCHours()),
  k: padded(2, (now) => now.getUTCHours(), " "),
  I: padded(2, hour12),
  l: padded(2, hour12, " "),
  M: padded(2, (now) => now.getUTCMinutes()),
  S: padded(2, (now) => now.getUTCSeconds()),
  f: padded(6, (now) => now.getUTCMilliseconds() * 1000),
  j: padded(3, dayOfYear),
  U: padded(2, (now) => week(now, 0)),
  W: padded(2, (now) => week(now, 1)),
  V: padded(2, (now) => Math.ceil(dayOfYear(thursday(now)) / 7)),
  G: padded(1, (now) => thursday(now).getUTCFullYear()),
  u: padded(1, (now) => now.getUTCDay() || 7),
  w: padded(1, (now) => now.getUTCDay()),
  p: (now) => (now.getUTCHours() < 12 ? "AM" : "PM"),
  A: named({ weekday: "long" }),
  a: named({ weekday: "short" }),
  B: named({ month: "long" }),
  b: named({ month: "short" }),
  h: named({ month: "short" }),
  // The time has no zone, as in transformers.
  Z: () => "",
  z: () => "",
  "%": () => "%",
  n: () => "\n",
  t: () => "\t",
};

const compounds: Readonly<Record<string, string>> = { D: "%m/%d/%y", F: "%Y-%m-%d", R: "%H:%M", T: "%H:%M:%S" };
/** Python has them, in a form that depends on the machine. */
const unserved = "cxXrPsgE+O^#";

/** A directive that Python does not know stays as it is; `-` takes the fill away. @throws TemplateError for one that is not served. */
export function formatTime(now: Date, format: string): string {
  return format.replace(/%(-?)(.)/gsu, (whole, dash: string, name: string) => {
    const compound = Object.hasOwn(compounds, name) ? compounds[name] : undefined;
    if (compound !== undefined) return formatTime(now, compound);
    if (unserved.includes(name)) throw new TemplateError(`strftime_now's directive ${whole} is not served`);
    const directive = Object.hasOwn(directives, name) ? directives[name] : undefined;
    if (!directive) return whole;
    const text = directive(now);
    return dash === "" ? text : text.replace(/^[0 ]+(?=.)/, "");
  });
}
