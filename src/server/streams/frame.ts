// The text form of server-sent events (HTML standard, 9.2).

/** One event; `data` is one line of JSON. */
export function eventFrame(id: number, data: string): string {
  return `id: ${id}\ndata: ${data}\n\n`;
}

/** The last event of a stream that has an end: clients need not come back. */
export const endFrame = "event: end\ndata: {}\n\n";
