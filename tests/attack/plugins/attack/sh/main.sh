# The call is one line of JSON whose values hold no quotes: enough for sed.
set -eu
read -r call
member() { printf '%s' "$call" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
path=$(member path) host=$(member host) port=$(member port) pid=$(member pid)

case "$(member attack)" in
read) cat "$path" ;;
write) echo attacked > "$path" ;;
remove) rm "$path" ;;
chmod) chmod 777 "$path" ;;
list) ls "$path" ;;
readByLink) ln -s "$path" "$TMPDIR/link" && cat "$TMPDIR/link" ;;
writeByLink) ln -s "$path" "$TMPDIR/link" && echo attacked > "$TMPDIR/link" ;;
hardLink) ln "$path" "$TMPDIR/hard" && cat "$TMPDIR/hard" ;;
connect) bash -c "exec 9<>/dev/tcp/$host/$port" ;;
unix) curl -sS --max-time 3 --unix-socket "$path" http://localhost/ ;;
udp) bash -c "echo x > /dev/udp/$host/$port" ;;
http) curl -sS --fail --max-time 3 "http://$host:$port/" ;;
signal) kill -USR2 "$pid" ;;
descriptors) ls -l /proc/self/fd | sed -n 's/.* \([0-9]*\) -> \(.*\)/"\1:\2"/p' | paste -sd, | sed 's/.*/{"output":{"open":[&]}}/' > "$WORKFLOW_RESULT" ;;
environment) env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/"\1"/p' | sort | paste -sd, | sed 's/.*/{"output":{"names":[&]}}/' > "$WORKFLOW_RESULT" ;;
*) exit 64 ;;
esac
