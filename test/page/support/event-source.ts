/** Chromium's own EventSource, for tests of the API beside the page's own. */
import type { Browser } from "playwright-core";

/** Reads one stream of the server, by its path, from its beginning; rejects where EventSource reports an error. */
export type EventSourceReader = (path: string) => Promise<readonly string[]>;

/** Opens a page of the server at `url`; what it returns gives the data of each event before `[DONE]`. */
export async function openEventSource(browser: Browser, url: string): Promise<EventSourceReader> {
  // The policy of an answer that is no page lets its scripts reach nothing.
  const page = await browser.newPage({ bypassCSP: true });
  await page.goto(`${url}/health`);
  return (path) =>
    page.evaluate<readonly string[]>(`new Promise((resolve, reject) => {
      const source = new EventSource(${JSON.stringify(path)});
      const data = [];
      source.onerror = () => {
        source.close();
        reject(new Error("EventSource reported an error"));
      };
      source.onmessage = (event) => {
        if (event.data !== "[DONE]") return void data.push(event.data);
        source.close();
        resolve(data);
      };
    })`);
}
