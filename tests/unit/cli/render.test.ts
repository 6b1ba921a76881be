// What people see: widths, tables, and that nothing a task wrote can steer a terminal.
import { describe, expect, test } from "bun:test";
import { plainStyle } from "../../../src/cli/render/style.ts";
import { fitWidths, renderTable } from "../../../src/cli/render/table.ts";
import { cutToWidth, jsonText, visible, visibleLine } from "../../../src/cli/render/visible.ts";

describe("visible", () => {
  test("shows control characters, keeps tabs and newlines", () => {
    expect(visible("a\tb\nc")).toBe("a\tb\nc");
    expect(visible("\u001b[2Jx\r\u0007\u009b31m\u007f")).toBe("\\x1b[2Jx\\r\\x07\\x9b31m\\x7f");
  });

  test("shows the overrides that reorder text", () => {
    expect(visible("a\u202eb\u2066c")).toBe("a\\u202eb\\u2066c");
  });

  test("puts a text on one line", () => {
    expect(visibleLine("a\nb\tc")).toBe("a\\nb c");
  });

  test("JSON stays the same value and holds no raw control character", () => {
    const value = { text: "\u0085\u009b\u202e\u001b\u007f" };
    const text = jsonText(value);
    expect(JSON.parse(text)).toEqual(value);
    expect(visible(text)).toBe(text);
  });
});

describe("widths", () => {
  test("cuts by columns, not by units", () => {
    expect(cutToWidth("abcdef", 4)).toBe("abc…");
    expect(cutToWidth("日本語", 5)).toBe("日本…");
    expect(cutToWidth("abc", 3)).toBe("abc");
    expect(Bun.stringWidth(cutToWidth("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 4))).toBeLessThanOrEqual(4);
  });

  test("takes from the widest column until the table fits", () => {
    expect(fitWidths([10, 30, 10], 44)).toEqual([10, 20, 10]);
    expect(fitWidths([10, 30, 10], null)).toEqual([10, 30, 10]);
  });

  test("aligns a table and cuts no cell without a terminal", () => {
    const columns = [
      { title: "ID", value: (row: string) => row },
      { title: "LENGTH", value: (row: string) => String(row.length), align: "right" as const },
    ];
    expect(renderTable(["a", "x".repeat(100)], columns, { style: plainStyle, columns: null }).split("\n")).toEqual([
      `ID${" ".repeat(98)}  LENGTH`,
      `a${" ".repeat(99)}       1`,
      `${"x".repeat(100)}     100`,
      "",
    ]);
    const narrow = renderTable(["a", "x".repeat(100)], columns, { style: plainStyle, columns: 40 });
    for (const line of narrow.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(40);
  });
});
