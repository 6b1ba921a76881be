// Listening sockets for tasks: a loopback port, or a socket file that a container's user may connect to.
import { chmodSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../base/index.ts";
import { wireHandlers } from "./wire.ts";
import type { Wire } from "./wire.ts";

export type Listener = { port: number; close(): void };

/** Listens on a free port of 127.0.0.1. @throws TASK_FAILED when there is none */
export function listenLoopback(onOpen: (wire: Wire) => void): Listener {
  const server = open(() =>
    Bun.listen<Wire | undefined>({ hostname: "127.0.0.1", port: 0, socket: wireHandlers(onOpen), data: undefined, allowHalfOpen: true }),
  );
  return { port: server.port, close: () => server.stop() };
}

/** Listens on a socket file that anyone who reaches its folder may connect to. `port` is what it stands for in a container.
 * @throws TASK_FAILED when it cannot be made */
export function listenFile(folder: string, { name, port }: { name: string; port: number }, onOpen: (wire: Wire) => void): Listener {
  // A socket's address holds 107 bytes, which paths of data folders may exceed; this one names the folder by a descriptor.
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const unix = `/proc/self/fd/${descriptor}/${name}`;
    const server = open(() => Bun.listen<Wire | undefined>({ unix, socket: wireHandlers(onOpen), data: undefined, allowHalfOpen: true }));
    chmodSync(unix, 0o666);
    const close = () => {
      server.stop();
      rmSync(join(folder, name), { force: true });
    };
    return { port, close };
  } finally {
    closeSync(descriptor);
  }
}

function open<T extends { unref(): void }>(listen: () => T): T {
  try {
    const server = listen();
    // Tasks keep the program alive, their network does not.
    server.unref();
    return server;
  } catch (cause) {
    throw fail("TASK_FAILED", `Cannot open a task's network: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
