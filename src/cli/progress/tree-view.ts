// The live tree: redrawn in place on stderr. The cursor comes back and long lines wrap again however the command ends.
import type { CliContext } from "../context.ts";
import type { ProgressView, ViewSubject } from "./progress-view.ts";
import { createTreeModel, foldProgress, renderTree } from "./tree-model.ts";

const redrawMs = 100;
const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";
const eraseLine = "\u001b[2K";

export function openTreeView(context: CliContext, subject: ViewSubject): ProgressView {
  const { io, errorStyle: style } = context;
  const model = createTreeModel(subject.title, subject.taskIds);
  let drawn = 0;
  let ended = false;

  const eraseDrawn = () => (drawn === 0 ? "" : `\u001b[${drawn}A\r\u001b[J`);
  const draw = (above = "") => {
    const lines = renderTree(model, { now: io.now(), width: io.columns() ?? 80, height: io.rows() ?? 24, style });
    // One write: a terminal that shows half of it would flicker.
    io.stderr(`${hideCursor}${eraseDrawn()}${above}${lines.map((line) => `${eraseLine}${line}\n`).join("")}`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, redrawMs, "");
  draw();

  return {
    update: (progress) => foldProgress(model, progress),
    note: (text) => (ended ? context.note(text) : draw(`${text}\n`)),
    end() {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      draw();
      io.stderr(showCursor);
    },
  };
}
