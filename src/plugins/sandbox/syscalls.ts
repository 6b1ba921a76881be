// The system calls that plans use, with their numbers on both architectures. A layer that needs another adds its line.
// Numbers: asm/unistd_64.h (x86-64) and asm-generic/unistd.h (arm64) of the kernel's user headers.

export type LinuxArch = "x64" | "arm64";

export const syscallNumbers = {
  getpid: { x64: 39, arm64: 172 },
  execve: { x64: 59, arm64: 221 },
  fcntl: { x64: 72, arm64: 25 },
  chdir: { x64: 80, arm64: 49 },
  getppid: { x64: 110, arm64: 173 },
  setsid: { x64: 112, arm64: 157 },
  prctl: { x64: 157, arm64: 167 },
  openat: { x64: 257, arm64: 56 },
  close_range: { x64: 436, arm64: 436 },
} as const satisfies Record<string, Record<LinuxArch, number>>;

export type SyscallName = keyof typeof syscallNumbers;
