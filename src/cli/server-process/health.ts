// Questions that need no key: is a server there, and is it ready.
import { type RemoteServer, readJson, send } from "../remote/http-client.ts";

export type Health = { status: string; version: string; uptimeMs: number };

/** @throws SERVER_UNREACHABLE */
export async function readHealth(server: RemoteServer): Promise<Health> {
  return await readJson<Health>(server, await send(server, { method: "GET", path: "/health" }));
}

/** False while it starts, stops or does not answer. */
export async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/ready`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
