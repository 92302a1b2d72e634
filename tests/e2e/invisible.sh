#!/bin/sh
# The program cannot tell: its descriptors, threads, children, environment,
# signals and limits are what they are natively, also while it pages.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

export ONE=1
"$tool" clean "$workload" fingerprint 'a b' c >"$tmp/seen" 2>"$tmp/err" \
	</dev/null || fail "natively: $(cat "$tmp/err")"
mv "$tmp/seen" "$tmp/native"
min_pswpout=0
session fingerprint 16M -- sh -c \
	'exec "$@" >"$0"' "$tmp/seen" "$workload" fingerprint 'a b' c
check_session 0
# They differ in what we chose: the name of standard error, and the path that
# a shell leaves in the variable _.
grep -v -e '^fd 2 ' -e '^env _=' "$tmp/native" >"$tmp/native.cut"
grep -v -e '^fd 2 ' -e '^env _=' "$tmp/seen" >"$tmp/seen.cut"
diff "$tmp/native.cut" "$tmp/seen.cut" || fail "what can be seen differs"

min_pswpout=100
names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/\1/p' | paste -sd,)
for budget in 32 16 8; do
	session "invisible-$budget" "${budget}M" --swap zram:512M -- \
		"$workload" -s 64 -r "$level" --expect-env "$names" invisible
	check_session 0
done
finish
