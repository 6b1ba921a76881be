// What the Docker runtime decides without an engine: frames, references, versions, mounts, places of sockets.

import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listContainerSockets } from "../../src/config/container-sockets.ts";
import { findCoreAction } from "../../src/model/index.ts";
import { chooseApi } from "../../src/plugins/runtimes/docker/engine-api.ts";
import { FrameReader } from "../../src/plugins/runtimes/docker/frames.ts";
import { splitReference } from "../../src/plugins/runtimes/docker/image.ts";
import { checkMounts } from "../../src/plugins/runtimes/docker/mounts.ts";

function frame(stream: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe("[WF-13] frames of two streams", () => {
  const bytes = Buffer.concat([frame(1, "out"), frame(2, "err"), frame(1, ""), frame(1, "more")]);

  test("are told apart wherever they are cut", () => {
    for (let size = 1; size <= bytes.byteLength; size++) {
      const streams: Record<number, string> = {};
      const reader = new FrameReader((stream, chunk) => (streams[stream] = (streams[stream] ?? "") + Buffer.from(chunk).toString()));
      for (let at = 0; at < bytes.byteLength; at += size) expect(reader.push(bytes.subarray(at, at + size))).toBeTrue();
      expect(streams).toEqual({ 1: "outmore", 2: "err" });
    }
  });

  test("what is no frame is noticed", () => {
    expect(new FrameReader(() => {}).push(Buffer.from("HTTP/1.1 500 "))).toBeFalse();
    const huge = frame(1, "");
    huge.writeUInt32BE(0xffff_ffff, 4);
    expect(new FrameReader(() => {}).push(huge)).toBeFalse();
  });
});

test("[WF-13] a reference without a tag means the latest; a port is no tag", () => {
  expect(splitReference("busybox")).toEqual({ name: "busybox", tag: "latest" });
  expect(splitReference("host:5000/a/b")).toEqual({ name: "host:5000/a/b", tag: "latest" });
  expect(splitReference("host:5000/a/b:1.2")).toEqual({ name: "host:5000/a/b", tag: "1.2" });
  expect(splitReference("a/b:1@sha256:ff")).toEqual({ name: "a/b", tag: "sha256:ff" });
});

test("[WF-13] the engine is asked in a version that both know", () => {
  expect(chooseApi("1.41", "1.12")).toBe("1.41");
  expect(chooseApi("1.52", "1.24")).toBe("1.44");
  expect(chooseApi("1.60", "1.50")).toBe("1.50");
});

test("[WF-13] a place below a writable mount needs none of its own, and a mount that is given twice is made once", () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "mounts-")));
  mkdirSync(join(folder, "a/b"), { recursive: true });
  const mount = (path: string, readOnly: boolean) => ({ source: join(folder, path), target: join(folder, path), readOnly });
  expect(checkMounts([mount("a", false), mount("a/b", false), mount("a/b", true)], [])).toEqual([mount("a", false)]);
  expect(checkMounts([mount("a", true), mount("a/b", false)], [])).toEqual([mount("a", true), mount("a/b", false)]);
  expect(checkMounts([mount("a", true), mount("a", false), mount("a", false)], [])).toEqual([mount("a", false)]);
  const elsewhere = { source: join(folder, "a/b"), target: "/elsewhere", readOnly: false };
  expect(checkMounts([mount("a", false), elsewhere], [])).toEqual([mount("a", false), elsewhere]);
  rmSync(folder, { recursive: true });
});

test("[WF-13] where an engine is looked for", () => {
  expect(listContainerSockets("unix:///own.sock", { DOCKER_HOST: "unix:///x.sock" })).toEqual(["/own.sock"]);
  expect(listContainerSockets(undefined, { DOCKER_HOST: "unix:///x.sock" })).toEqual(["/x.sock"]);
  // An engine on another machine sees other folders: it is none for us, and no other is taken in its place.
  expect(listContainerSockets(undefined, { DOCKER_HOST: "tcp://10.0.0.1:2375" })).toEqual([]);
  expect(listContainerSockets(undefined, { XDG_RUNTIME_DIR: "/run/user/7" })).toEqual([
    "/var/run/docker.sock",
    "/run/user/7/docker.sock",
    "/run/user/7/podman/podman.sock",
    "/run/podman/podman.sock",
  ]);
});

test("[WF-13] core/docker.run is there and takes an image", () => {
  const action = findCoreAction("core/docker.run");
  expect(action?.available).toBeTrue();
  expect(action?.input).toMatchObject({ required: ["image"], additionalProperties: false });
});
