// Where a container engine may be listening: what the configuration says, else what Docker's and Podman's own clients look at.
import { join } from "node:path";
import { type Environment, variable } from "./environment.ts";

/** Absolute paths of sockets, the preferred one first. Empty when DOCKER_HOST names an engine that is not on this machine. */
export function listContainerSockets(configured: string | undefined, env: Environment): string[] {
  if (configured !== undefined) return [withoutScheme(configured)];
  const host = variable(env, "DOCKER_HOST");
  if (host !== null) return host.startsWith("unix:///") ? [withoutScheme(host)] : [];
  const runtime = variable(env, "XDG_RUNTIME_DIR");
  const own = runtime === null ? [] : [join(runtime, "docker.sock"), join(runtime, "podman/podman.sock")];
  const home = variable(env, "HOME");
  // Docker Desktop.
  const desktop = home === null ? [] : [join(home, ".docker/run/docker.sock")];
  return ["/var/run/docker.sock", ...own, ...desktop, "/run/podman/podman.sock"];
}

function withoutScheme(text: string): string {
  return text.replace(/^unix:\/\//, "");
}
