import { record } from "./failure.ts";
import { requestRecord } from "./request.ts";

const pageSize = 100;

/** Follows a list through its pages; `cursor` is the field of the last item that the next page comes after. */
export async function listAll(path: string, cursor: "id" | "number", signal: AbortSignal): Promise<unknown[]> {
  const items: unknown[] = [];
  let next: string | null = pageOf(path, null);
  while (next !== null) {
    const body: Record<string, unknown> = await requestRecord(next, { signal });
    const data: unknown[] = Array.isArray(body["data"]) ? body["data"] : [];
    items.push(...data);
    const last = record(data.at(-1))?.[cursor];
    const goesOn = body["has_more"] === true && (typeof last === "string" || typeof last === "number");
    next = goesOn ? pageOf(path, String(last)) : null;
  }
  return items;
}

function pageOf(path: string, after: string | null): string {
  const query = new URLSearchParams({ limit: String(pageSize), ...(after === null ? {} : { after }) });
  return `${path}?${query.toString()}`;
}
