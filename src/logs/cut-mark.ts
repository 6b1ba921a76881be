// What ends a log line that was longer than its bound, for people to see.

export const cutMark = " … [cut]";
