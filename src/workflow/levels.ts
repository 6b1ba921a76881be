// The levels of a task graph: a task stands one below the lowest of those that it needs.

type Node = { id: string; needs: readonly string[] };

/** Ids by level, sorted within each. Needs outside the list are ignored; the graph must have no cycle. */
export function findLevels(tasks: readonly Node[]): string[][] {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const waiting = new Map(tasks.map((task) => [task.id, task.needs.filter((need) => byId.has(need)).length]));
  const dependents = new Map<string, string[]>(tasks.map((task) => [task.id, []]));
  for (const task of tasks) for (const need of task.needs) dependents.get(need)?.push(task.id);
  const levels: string[][] = [];
  let level = tasks.filter((task) => waiting.get(task.id) === 0).map((task) => task.id);
  while (level.length > 0) {
    levels.push(level.toSorted());
    const next: string[] = [];
    for (const id of level) {
      for (const dependent of dependents.get(id) ?? []) {
        const left = (waiting.get(dependent) ?? 0) - 1;
        waiting.set(dependent, left);
        if (left === 0) next.push(dependent);
      }
    }
    level = next;
  }
  return levels;
}
