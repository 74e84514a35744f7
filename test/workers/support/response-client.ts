/** A client of responses, under a key of its own. */
import { type Json } from "./gateway-client.ts";
import { plainLetters } from "./plain-letters.ts";
import { SessionClient } from "./session-client.ts";

export interface Item {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly role?: string;
  readonly content?: readonly { readonly type: string; readonly text: string }[];
  readonly call_id?: string;
  readonly output?: string;
}

export interface ResponseObject {
  readonly id: string;
  readonly object: "response";
  readonly created_at: number;
  readonly completed_at: number | null;
  readonly status: string;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly incomplete_details: { readonly reason: string } | null;
  readonly output: readonly Item[];
  readonly usage: { readonly input_tokens: number; readonly input_tokens_details: { readonly cached_tokens: number } } | null;
  readonly previous_response_id: string | null;
  readonly instructions: string | null;
  readonly store: boolean;
  readonly [field: string]: unknown;
}

export interface ResponseEvent {
  readonly type: string;
  readonly sequence_number: number;
  readonly response?: ResponseObject;
  readonly delta?: string;
  readonly [field: string]: unknown;
}

export const greedyResponse: Json = { model: "tiny", temperature: 0, max_output_tokens: 10, ignore_eos: true, logit_bias: plainLetters };

export const textOf = ({ output }: Pick<ResponseObject, "output">): string =>
  output.flatMap(({ content = [] }) => content.map(({ text }) => text)).join("");

/** With the tenant's header; what a request is refused for is thrown as JSON. */
export class ResponseClient extends SessionClient {
  respond(body: Json): Promise<Response> {
    return this.call("POST", "/v1/responses", { ...greedyResponse, ...body });
  }

  async made(body: Json): Promise<ResponseObject> {
    return await responseIn(await this.respond(body));
  }

  async response(id: string): Promise<ResponseObject> {
    return await responseIn(await this.call("GET", `/v1/responses/${id}`));
  }

  async items(id: string, query = ""): Promise<{ data: Item[]; has_more: boolean; first_id: string; last_id: string }> {
    return await (await this.call("GET", `/v1/responses/${id}/input_items${query}`)).json();
  }
}

export async function responseIn(response: Response): Promise<ResponseObject> {
  const value = await response.json<ResponseObject>();
  if (response.status !== 200) throw new Error(JSON.stringify(value));
  return value;
}

/** The events of a whole stream, each under the name that its data has. */
export async function responseEvents(response: Response): Promise<ResponseEvent[]> {
  const blocks = (await response.text()).split("\n\n").map((block) => block.split("\n").filter((line) => !line.startsWith(":")));
  return blocks.flatMap((lines) => {
    if (lines.every((line) => line === "")) return [];
    const [name = "", data = ""] = lines;
    const event = JSON.parse(data.replace(/^data: /, "")) as ResponseEvent;
    if (lines.length !== 2 || name !== `event: ${event.type}`) throw new Error(`no event of a response: ${lines.join("\\n")}`);
    return [event];
  });
}
