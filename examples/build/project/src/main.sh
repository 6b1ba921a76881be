name=${1:?usage: greet NAME}
printf 'Hello, %s!\n' "$(upper "$name")"
