upper() { printf '%s' "$1" | tr '[:lower:]' '[:upper:]'; }
