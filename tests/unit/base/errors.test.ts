// The one table of errors: kinds fix exits and statuses, and the envelope survives a journey.
import { describe, expect, test } from "bun:test";
import {
  assert,
  type ErrorCode,
  errorCodes,
  errorKinds,
  exitOf,
  fail,
  fromErrorBody,
  isCoded,
  kindOf,
  statusOf,
  toErrorBody,
} from "../../../src/base/index.ts";

describe("[CRA-0.28] [CRA-1.04] errors", () => {
  test("each kind has the exit and status that the table of the specification gives it", () => {
    const table = Object.entries(errorKinds).map(([kind, { exit, status, retryable }]) => `${kind} ${exit} ${status} ${retryable}`);
    expect(table).toEqual([
      "failed 1 200 false",
      "usage 2 400 false",
      "invalid 3 422 false",
      "not_found 4 404 false",
      "conflict 5 409 false",
      "gone 5 410 false",
      "unauthenticated 6 401 false",
      "denied 6 403 false",
      "integrity 7 422 false",
      "incompatible 8 409 false",
      "timeout 9 504 true",
      "unavailable 9 503 true",
      "limit 9 429 true",
      "internal 70 500 false",
    ]);
  });

  test("codes are upper snake, each with a sentence, and know their kind", () => {
    for (const [code, { kind, means }] of Object.entries(errorCodes)) {
      expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
      expect(means).toMatch(/^[A-Z].*\.$/);
      expect([kindOf(code), exitOf(code)]).toEqual([kind, errorKinds[kind].exit]);
    }
    expect([statusOf("METHOD_NOT_ALLOWED"), statusOf("TOO_LARGE"), statusOf("UNSUPPORTED_MEDIA_TYPE"), statusOf("USAGE")]).toEqual([
      405, 413, 415, 400,
    ]);
    expect([kindOf("MADE_UP_BY_A_PLUGIN"), exitOf("MADE_UP_BY_A_PLUGIN")]).toEqual(["failed", 1]);
    expect(kindOf("constructor")).toBe("failed");
  });

  test("an error becomes its envelope and comes back from it", () => {
    const error = fail("FILE_NOT_FOUND", "Cannot read it", { details: { path: "x" }, hint: "Look." });
    const body = toErrorBody(error);
    expect(body).toEqual({ code: "FILE_NOT_FOUND", kind: "not_found", message: "Cannot read it", details: { path: "x" }, hint: "Look." });
    expect(toErrorBody(fromErrorBody(body))).toEqual(body);
    expect(toErrorBody(fail("USAGE", "m"))).toEqual({ code: "USAGE", kind: "usage", message: "m" });
    expect([isCoded(error), isCoded(error, "FILE_NOT_FOUND"), isCoded(error, "USAGE"), isCoded(new Error("x"))]).toEqual([true, true, false, false]);
  });

  test("what is not ours is our bug", () => {
    for (const thrown of [new Error("x"), "x"])
      expect(toErrorBody(thrown)).toEqual({ code: "INTERNAL", kind: "internal", message: "Internal error: x" });
    expect(fromErrorBody({ code: "toString" as ErrorCode, kind: "failed", message: "m" }).code).toBe("INTERNAL");
    expect(() => assert(false, "x")).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    expect(() => assert(1, "x")).not.toThrow();
  });
});
