#!/bin/sh
# Puts the parts together into one program.
set -eu
mkdir -p dist
{
  echo '#!/bin/sh'
  echo 'set -eu'
  cat src/upper.sh src/main.sh
} > dist/greet
chmod +x dist/greet
echo "built dist/greet"
