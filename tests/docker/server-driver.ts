// A server in a process of its own that runs one container until it is killed: argument 1 the engine's socket, 2 its folder.

import { ContainerRuntime } from "../../src/plugins/runtimes/docker/index.ts";
import { ambient, readSome, script } from "./engine.ts";

const [socket = "", folder = ""] = process.argv.slice(2);
const runtime = new ContainerRuntime({ ...ambient, sockets: [socket], folder, store: "store-1", owner: "killed", settings: {} });
const handle = runtime.runContainer(script("echo ready; trap '' TERM HUP; sleep 600 & while :; do sleep 1; done"));
await readSome(handle.stdout);
console.log("ready");
await handle.exited;
