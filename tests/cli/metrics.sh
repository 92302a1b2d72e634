#!/bin/sh
# What --metrics refuses, in one line, before anything is started.
. "$(dirname "$0")/lib.sh"

run() {
        line=$1 value=$2
        refuses 125 "--metrics $value: $line" \
                "$spillway" run -m 64M --metrics "$value" -- true
}

form="write unix:PATH or tcp:127.0.0.1:PORT"
for value in '' 9400 /run/x 127.0.0.1:9400 http://127.0.0.1:9400 udp:127.0.0.1:1 \
        Unix:/x; do
        run "$form" "$value"
done
run "no path is given" unix:
run "the path is too long for a socket: 103 bytes at most" \
        "unix:/$(printf '%0103d' 0)"
port="write tcp:ADDRESS:PORT, e.g. tcp:127.0.0.1:9400; a port is a number from 1 to 65535"
for value in tcp: tcp:127.0.0.1 tcp:127.0.0.1: tcp:127.0.0.1:0 tcp:127.0.0.1:65536 \
        tcp:127.0.0.1:-1 tcp:127.0.0.1:+1 tcp:127.0.0.1:9x tcp:127.0.0.1:http \
        tcp:127.0.0.1:99999999999999999999; do
        run "$port" "$value"
done
for value in tcp::9400 tcp:localhost:9400 tcp:127.1:9400 'tcp:[::1:9400' \
        tcp:::1:9400 tcp:[]:9400 'tcp:[127.0.0.1]:9400'; do
        run "the address is 127.0.0.1 or [::1], in numbers" "$value"
done
for value in tcp:0.0.0.0:9400 tcp:192.168.0.1:9400 'tcp:[::]:9400' \
        tcp:128.0.0.1:9400 'tcp:[::ffff:127.0.0.1]:9400'; do
        run "other machines could come there; only addresses of this one are taken: 127.0.0.1, [::1]" \
                "$value"
done
finish
