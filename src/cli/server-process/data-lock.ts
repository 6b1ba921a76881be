// One server per data folder, without a race: the kernel gives the name to one process and takes it back when that process is gone.
import { statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { fail } from "../../base/index.ts";

/**
 * Takes the folder for this process until `release`, or its death. Elsewhere than on Linux there are no abstract sockets
 * and server.json alone decides.
 * @throws SERVER_RUNNING
 */
export async function lockDataDir(dataDir: string): Promise<{ release(): void }> {
  if (process.platform !== "linux") return { release: () => {} };
  // By device and inode, so that two paths to one folder are one name.
  const { dev, ino } = statSync(dataDir);
  const holder = createServer((socket) => void socket.destroy());
  await listen(holder, `\0autokestra-server-${dev}-${ino}`, dataDir);
  holder.unref();
  return { release: () => void holder.close() };
}

function listen(holder: Server, path: string, dataDir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    holder.once("error", (cause: { code?: string }) => {
      const taken = cause.code === "EADDRINUSE";
      const why = taken ? "another one starts or runs there" : `its lock cannot be taken: ${String(cause.code ?? cause)}`;
      const code = taken ? "SERVER_RUNNING" : "STORE_UNAVAILABLE";
      reject(fail(code, `Cannot start a server on "${dataDir}": ${why}`, { hint: "See: workflow server status", cause }));
    });
    holder.listen({ path }, resolve);
  });
}
