// Paging, as every list takes it.
import { text } from "../command.ts";

export const pageOptions = {
  limit: text("--limit", "N", "So many at most (50)"),
  cursor: text("--cursor", "C", "Go on where an earlier page ended"),
} as const;
