// A forwarder's side of a client connection: whatever connects is joined with the one host and port that it stands for.
import type { Connection } from "./connection.ts";
import { connectTo } from "./dial.ts";
import type { Pass } from "./pass.ts";
import type { Target } from "./target.ts";
import { joinWires } from "./wire.ts";

/** Serves a connection; it is reset when the target is denied or does not answer. */
export async function serveForwarder(connection: Connection, pass: Pass, target: Target): Promise<void> {
  connection.startDialling();
  const route = await pass.decide(target, "forwarder");
  const far = await connectTo(route.addresses, target.port);
  if (far === null) return connection.destroy();
  if (connection.client.isClosed || !pass.isOpen) return far.destroy();
  connection.establish(far);
  joinWires(connection.client, far, connection.touch);
}
