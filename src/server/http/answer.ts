// What a handler answers, before it becomes a Response.

export type Answer = {
  status: number;
  type: string;
  /** A stream is sent as it comes, a text at once; null sends no body. */
  body: string | ReadableStream<Uint8Array> | null;
  headers?: Readonly<Record<string, string>>;
};

const json = "application/json";

export function jsonAnswer(value: unknown, status = 200, headers?: Readonly<Record<string, string>>): Answer {
  return textAnswer(JSON.stringify(value), { status, type: json, ...(headers === undefined ? {} : { headers }) });
}

/** Text that is in its final form already. */
export function textAnswer(body: string, form: { status?: number; type: string; headers?: Readonly<Record<string, string>> }): Answer {
  return { status: form.status ?? 200, type: form.type, body, ...(form.headers === undefined ? {} : { headers: form.headers }) };
}

export function emptyAnswer(): Answer {
  return { status: 204, type: json, body: null };
}

/** Bytes as they are read, at the pace of who takes them. */
export function bytesAnswer(pieces: AsyncIterable<Uint8Array>, form: { type: string; headers: Readonly<Record<string, string>> }): Answer {
  const iterator = pieces[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await iterator.return?.()),
    },
    { highWaterMark: 0 },
  );
  return { status: 200, type: form.type, body, headers: form.headers };
}

export function streamAnswer(body: ReadableStream<Uint8Array>): Answer {
  // Proxies must neither keep nor gather what is sent line by line.
  return { status: 200, type: "text/event-stream", body, headers: { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" } };
}
