#!/bin/bash
# A panic button made of mosquitto_pub and mosquitto_sub: raises an alarm, shows its receipts as they come, and stays until it
# is closed. For a button on the wall of a farm house, a script of an alarm panel, or to see the wire with one's own eyes.
#
#     TOKEN=... phone.sh [TYPE [TEXT]]        MQTT_HOST, MQTT_PORT: where the broker is
set -euo pipefail

type=${1:-panic}
text=${2:-}
claims=$(cut -d. -f2 <<<"$TOKEN" | tr '_-' '/+' | sed 's/$/==/' | base64 -di 2>/dev/null || true)
sub=$(sed -n 's/.*"sub": *"\([^"]*\)".*/\1/p' <<<"$claims")
org=$(sed -n 's/.*"org": *"\([^"]*\)".*/\1/p' <<<"$claims")
at=(-h "${MQTT_HOST:-127.0.0.1}" -p "${MQTT_PORT:-1883}" -V 5 -q 1)
root=mayday/v1/$org

# The token goes into a file that only we can read: what stands on a command line, everybody on the machine can.
XDG_CONFIG_HOME=$(mktemp -d)
export XDG_CONFIG_HOME
trap 'rm -rf "$XDG_CONFIG_HOME"' EXIT
for program in mosquitto_pub mosquitto_sub; do
    printf -- '-u %s\n-P %s\n' "$sub" "$TOKEN" | install -m 600 /dev/stdin "$XDG_CONFIG_HOME/$program"
done

uuid7() { # RFC 9562: 48 bits of milliseconds, then chance
    local random ms
    random=$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')
    ms=$(printf '%012x' "$(date +%s%3N)")
    echo "${ms:0:8}-${ms:8:4}-7${random:1:3}-8${random:5:3}-${random:8:12}"
}
now() { date -u +%FT%T.%3NZ; }

alert=$(uuid7)
raise="{\"v\":1,\"id\":\"$(uuid7)\",\"ts\":\"$(now)\",\"type\":\"$type\"${text:+,\"text\":\"$text\"}}"

# mosquitto_pub exits with 0 once the broker has acknowledged: from then on the alarm is safe. Until then: again, and the
# same message, which counts once however often it arrives.
until mosquitto_pub "${at[@]}" -i "$sub/button" -t "$root/alert/$alert/raise" -m "$raise"; do
    echo "not heard yet, trying again" >&2
    sleep 1
done
echo "heard $alert"

# `state` is retained, so it does not matter that we subscribe after raising; an empty one means that all is over.
while read -r line; do
    [ -n "$line" ] || break
    version=$(sed -n 's/.*"version": *\([0-9]*\).*/\1/p' <<<"$line")
    status=$(sed -n 's/.*"status": *"\([a-z_]*\)".*/\1/p' <<<"$line")
    echo "state $version $status"
    case $status in resolved | canceled) break ;; esac
done < <(exec mosquitto_sub "${at[@]}" -i "$sub/button-state" -t "$root/alert/$alert/state")
kill $! 2>/dev/null || true
