#!/bin/sh
# Builds launcher-x64 and launcher-arm64 from launcher.c and its two headers, the same bytes every time for the same compiler.
#   build.sh                 rebuilds both beside this script and writes launcher.sha256
#   build.sh --into DIR x64  builds one architecture into DIR and leaves the checked-in files alone
#   build.sh --version x64   prints the versions of compiler and linker for one architecture, as launcher.sha256 records it
# Needs gcc for the own architecture and a cross compiler (gcc-aarch64-linux-gnu, gcc-x86-64-linux-gnu) for the other.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

compiler() {
  case "$1" in x64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) echo "unknown architecture $1" >&2; exit 2 ;; esac
  if command -v "$machine-linux-gnu-gcc" > /dev/null; then echo "$machine-linux-gnu-gcc"; return; fi
  if [ "$(uname -m)" = "$machine" ] && command -v gcc > /dev/null; then echo gcc; return; fi
  echo "no compiler for $1" >&2
  exit 3
}

# Compiler and linker. The name that gcc was installed under differs (gcc, x86_64-linux-gnu-gcc) and is left out.
version() {
  cc=$(compiler "$1")
  ld=$("$cc" -print-prog-name=ld)
  echo "$("$cc" --version | sed -n '1s/^[^(]*//p'), $("$ld" --version | sed -n 1p)"
}

# Segments are aligned for the largest pages an arm64 kernel may have.
build() {
  cc=$(compiler "$1")
  (cd "$here" && LC_ALL=C "$cc" -std=gnu11 -Os -Wall -Wextra -Werror -static -no-pie -nostdlib -ffreestanding -fno-builtin \
    -fno-pic -fno-ident -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables \
    -fno-tree-loop-distribute-patterns -o "$2" launcher.c \
    -s -Wl,--build-id=none,-z,noexecstack,-z,noseparate-code,-z,max-page-size=65536 -Wl,--no-warn-rwx-segments)
}

case "${1-}" in
  --into) into=$(cd "$2" && pwd); build "$3" "$into/launcher-$3"; exit ;;
  --version) version "$2"; exit ;;
esac
for arch in x64 arm64; do build "$arch" "$here/launcher-$arch"; done
cd "$here"
{
  for arch in x64 arm64; do echo "# launcher-$arch: $(version "$arch")"; done
  sha256sum launcher-x64 launcher-arm64
} > launcher.sha256
