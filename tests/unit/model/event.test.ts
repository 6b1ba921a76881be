// The bytes of an event: what is stored is the canonical form, and anyone can check its hash with a JCS library and SHA-256.
import { describe, expect, test } from "bun:test";
import canonicalize from "canonicalize";
import * as fc from "fast-check";
import { createHash } from "node:crypto";
import { type JsonObject, toIJson } from "../../../src/base/index.ts";
import { type EventDraft, firstPrevHash, sealEvent, sentEvent, severities, type TraceEvent } from "../../../src/model/index.ts";

const text = fc.string({ unit: "binary", maxLength: 20 });
const anyText = fc.oneof(text, fc.constantFrom("", '"', "\\", "\u2028", "\u0000", "a\uD800", "__proto__", "\u{1F600}", '","hash":"x'));
const uuid = fc.uuid();
const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const payload = fc
  .dictionary(anyText, fc.oneof(fc.jsonValue(), anyText, fc.constantFrom(-0, 1e-7, 1e21 + 0.5, 0.1, 123456789012345680000 / 1e6)), {
    maxKeys: 6,
    noNullPrototype: true,
  })
  .filter((value) => isStorable(value));
const drafts: fc.Arbitrary<EventDraft> = fc
  .record({
    eventId: uuid,
    type: fc.constantFrom("trace.task.succeeded", "trace.carp.resolve.requested"),
    traceId: uuid,
    spanId: uuid,
    parentSpanId: fc.option(uuid),
    sessionId: uuid,
    actor: fc.record({
      type: fc.constantFrom("runtime" as const, "agent" as const, "user" as const, "tool" as const),
      id: anyText.map((id) => `x${id.toWellFormed()}`),
    }),
    severity: fc.constantFrom(...severities),
    time: fc.integer({ min: 0, max: 253_402_300_799_999 }),
    payload: payload.map((value) => toIJson(value) as JsonObject),
    artifacts: fc.option(fc.array(fc.record({ name: text, uri: text, sha256: hash, content_type: text }), { maxLength: 2 })),
    atlas: fc.option(fc.record({ id: text, version: text })),
  })
  .map(({ artifacts, atlas, ...draft }) => ({ ...draft, ...(artifacts === null ? {} : { artifacts }), ...(atlas === null ? {} : { atlas }) }));

function isStorable(value: unknown): boolean {
  try {
    toIJson(value);
    return true;
  } catch {
    return false;
  }
}

describe("[CRA-X07] sealed events", () => {
  test("are the RFC 8785 form of the whole, and their hash is SHA-256 of it", () => {
    fc.assert(
      fc.property(drafts, fc.nat(), hash, fc.integer({ min: 1, max: 2 ** 40 }), (draft, sequence, prevHash, seq) => {
        const sealed = sealEvent(draft, sequence, prevHash);
        const sent = JSON.parse(sentEvent(sealed.body, sealed.hash, seq)) as Partial<TraceEvent>;
        expect([sent.seq, sent.hash, sent.prev_hash, sent.sequence]).toEqual([seq, sealed.hash, prevHash, sequence]);
        const { hash: _hash, seq: _seq, ...whole } = sent;
        const canonical = canonicalize(whole) ?? "";
        expect(sealed.body).toBe(canonical);
        expect(sealed.hash).toBe(createHash("sha256").update(canonical, "utf8").digest("hex"));
        expect(JSON.stringify(sent.payload)).toBe(JSON.stringify(JSON.parse(canonicalize(draft.payload) ?? "")));
        expect(sent.time).toBe(new Date(draft.time).toISOString());
      }),
      { numRuns: 300 },
    );
  });

  test("of one event are these bytes", () => {
    const id = "019b7d4c-a0ae-7000-8000-000000000001";
    const draft: EventDraft = {
      eventId: id,
      type: "trace.runtime.error",
      traceId: id,
      spanId: id,
      parentSpanId: null,
      sessionId: id,
      actor: { type: "user", id: "al\u00EFce" },
      severity: "warn",
      time: Date.parse("2026-01-02T03:04:05.678Z"),
      payload: { message: "m", code: "C" },
    };
    const body =
      `{"actor":{"id":"al\u00EFce","type":"user"},"event_id":"${id}","event_type":"trace.runtime.error","payload":{"code":"C","message":"m"},` +
      `"prev_hash":"${firstPrevHash}","sequence":0,"session_id":"${id}","severity":"warn","time":"2026-01-02T03:04:05.678Z",` +
      `"trace":{"parent_span_id":null,"span_id":"${id}","trace_id":"${id}"},"trace_version":"1.0"}`;
    const sealed = sealEvent(draft, 0, firstPrevHash);
    expect(sealed).toEqual({ body, hash: createHash("sha256").update(body).digest("hex") });
    expect(sentEvent(body, sealed.hash, 7)).toBe(`${body.slice(0, -1)},"hash":"${sealed.hash}","seq":7}`);
  });
});
