#!/bin/sh
# Installs Autokestra: the binary `workflow` and its other names `cra` and `artifactctl`.
#
#   sh install.sh                 from AUTOKESTRA_BASE_URL, or from where this script was published
#   sh install.sh FILE            from a release file, with SHA256SUMS or FILE.sha256 beside it
#
# AUTOKESTRA_INSTALL_DIR names the folder; else it is /usr/local/bin for root and ~/.local/bin for others.
set -eu

default_base_url=""

fail() {
  echo "install: $1" >&2
  exit 1
}

# The name of this machine's release file.
release_name() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "Cannot install on $(uname -s): there are files for Linux and macOS only" ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "Cannot install on $(uname -m): there are files for x86-64 and ARM64 only" ;;
  esac
  echo "workflow-$os-$arch"
}

download() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL -o "$2" "$1" || fail "Cannot download $1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1" || fail "Cannot download $1"
  else
    fail "Cannot download $1: neither curl nor wget is here"
  fi
}

sha256_of() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum <"$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  elif command -v openssl >/dev/null 2>&1; then
    openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
  else
    fail "Cannot verify $1: no sha256sum, shasum or openssl is here"
  fi
}

# The digest that a list of sums gives for a name, or nothing.
sum_in() {
  awk -v name="$2" '{ file = $2; sub(/^\*/, "", file); if (file == name) { print $1; exit } }' "$1"
}

verify() {
  [ -n "$2" ] || fail "Cannot verify $1: no checksum was published for it"
  actual=$(sha256_of "$1")
  [ "$actual" = "$2" ] || fail "Cannot install $1: its sha256 is $actual, expected $2"
}

# Sets `file` to a local copy of the release, checked against its sum.
fetch() {
  base="${AUTOKESTRA_BASE_URL:-$default_base_url}"
  [ -n "$base" ] || fail "Cannot tell where to download from: set AUTOKESTRA_BASE_URL, or give a release file"
  name=$(release_name)
  file="$work/$name"
  download "${base%/}/SHA256SUMS" "$work/SHA256SUMS"
  download "${base%/}/$name" "$file"
  verify "$file" "$(sum_in "$work/SHA256SUMS" "$name")"
}

# Checks a file that is here already.
take() {
  file="$1"
  [ -f "$file" ] || fail "Cannot install $file: no such file"
  name=$(basename "$file")
  sums="$(dirname "$file")/SHA256SUMS"
  if [ -f "$sums" ]; then
    verify "$file" "$(sum_in "$sums" "$name")"
  elif [ -f "$file.sha256" ]; then
    verify "$file" "$(cut -d ' ' -f 1 <"$file.sha256")"
  else
    verify "$file" ""
  fi
}

# The new file is complete and has started once before it takes the old one's place, so a running server keeps its own.
place() {
  mkdir -p "$folder" || fail "Cannot create $folder"
  draft="$folder/.workflow.$$"
  cp "$file" "$draft" || fail "Cannot write to $folder: set AUTOKESTRA_INSTALL_DIR to a folder of yours"
  chmod 755 "$draft"
  version=$("$draft" --version) || fail "Cannot install $name: it does not start on this machine"
  mv -f "$draft" "$folder/workflow"
  ln -sf workflow "$folder/cra"
  ln -sf workflow "$folder/artifactctl"
}

main() {
  [ $# -le 1 ] || fail "Cannot install: one file at most"
  if [ -n "${AUTOKESTRA_INSTALL_DIR:-}" ]; then
    folder="$AUTOKESTRA_INSTALL_DIR"
  elif [ "$(id -u)" = 0 ]; then
    folder=/usr/local/bin
  else
    folder="$HOME/.local/bin"
  fi
  work=$(mktemp -d)
  draft=""
  trap 'rm -rf "$work" ${draft:+"$draft"}' EXIT
  if [ $# -eq 1 ]; then take "$1"; else fetch; fi
  place
  echo "Installed $version as $folder/workflow, also called cra and artifactctl."
  case ":$PATH:" in
    *":$folder:"*) ;;
    *) echo "Add it to your path:  export PATH=\"$folder:\$PATH\"" ;;
  esac
  echo "Next:"
  echo "  workflow init      writes a configuration and a first workflow"
  echo "  workflow doctor    checks this machine, its sandbox included"
}

# A download that was cut off ends before this line and does nothing.
main "$@"
