/** The functions and constants a chat template may use besides its variables, as Hugging Face `transformers` offers them. */

/** Thrown by a template's `raise_exception`: the messages do not suit the model. */
export class TemplateRefusal extends Error {
  override readonly name = "TemplateRefusal";
}

/** A longer range can only be meant to exhaust the Worker. */
const LONGEST_RANGE = 100_000;

export function templateGlobals(now: Date): Readonly<Record<string, unknown>> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range,
    raise_exception: (message: unknown) => {
      throw new TemplateRefusal(String(message));
    },
    strftime_now: (format: unknown) => formatTime(now, String(format)),
  };
}

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!Number.isInteger(length) || length > LONGEST_RANGE) {
    throw new RangeError(
      `range(${String(start)}, ${String(stop)}, ${String(step)}) is not a range of at most ${String(LONGEST_RANGE)} numbers`,
    );
  }
  return Array.from({ length }, (_, index) => start + index * step);
}

/** Python's `strftime` in UTC and English; a directive that is not known stays as it is. */
function formatTime(now: Date, format: string): string {
  const name = (options: Intl.DateTimeFormatOptions): string => now.toLocaleDateString("en-US", { ...options, timeZone: "UTC" });
  const digits = (value: number): string => String(value).padStart(2, "0");
  const directives: Readonly<Record<string, () => string>> = {
    "%Y": () => String(now.getUTCFullYear()),
    "%y": () => digits(now.getUTCFullYear() % 100),
    "%m": () => digits(now.getUTCMonth() + 1),
    "%d": () => digits(now.getUTCDate()),
    "%H": () => digits(now.getUTCHours()),
    "%M": () => digits(now.getUTCMinutes()),
    "%S": () => digits(now.getUTCSeconds()),
    "%A": () => name({ weekday: "long" }),
    "%a": () => name({ weekday: "short" }),
    "%B": () => name({ month: "long" }),
    "%b": () => name({ month: "short" }),
    "%%": () => "%",
  };
  return format.replace(/%./g, (directive) => directives[directive]?.() ?? directive);
}
