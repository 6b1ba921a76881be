#!/bin/sh
# The program's one test.
set -eu
said=$(./dist/greet ada)
[ "$said" = "Hello, ADA!" ] || { echo "said \"$said\"" >&2; exit 1; }
echo "1 test passed"
