/** One whole answer's text. */

const patienceMilliseconds = 300_000;

/** @throws Error where the answer is none, or comes with an error. */
export async function answerText(url: string, model: string, question: string, maxTokens: number): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer sk-bench-stages" },
    body: JSON.stringify({
      model,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
      messages: [{ role: "user", content: question }],
    }),
    signal: AbortSignal.timeout(patienceMilliseconds),
  });
  const body = (await response.json()) as { readonly choices?: readonly { readonly message: { readonly content: string } }[] };
  const content = body.choices?.[0]?.message.content;
  if (!response.ok || content === undefined) throw new Error(`status ${String(response.status)}: ${JSON.stringify(body)}`);
  return content;
}
