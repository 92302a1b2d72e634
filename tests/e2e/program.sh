#!/bin/sh
# program.sh NAME: a real program in half the memory it uses natively gives
# the same output and the same exit status.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

program=${1:?which program}

# native COMMAND...: runs it plain, sets $want_rc and $half.
native() {
	interruptible "$tool" clean "$sampler" -i 10 -o "$tmp/sample" -- "$@" >"$tmp/native.out" \
		2>"$tmp/native.err" </dev/null
	want_rc=$?
	peak=$(sed -n 's/^max //p' "$tmp/sample")
	half=$((peak / 2))
	echo "$program: native peak $((peak >> 20)) MiB"
	[ "$half" -ge 8388608 ] || fail "peak of $peak is too small to halve"
}

# compare COMMAND...: the same under spillway.
compare() {
	session "$program" $half --swap zram:4G -- "$@"
	check_session "$want_rc"
	cmp "$tmp/native.out" "$tmp/$session.out" ||
		fail "$program: standard output differs"
	echo "$program: $(counter pswpout) pages out, $(counter pswpin) in"
}

# c_source FUNCTIONS SEED: C that keeps an optimiser busy.
c_source() {
	awk -v n="$1" -v seed="$2" 'BEGIN {
		srand(seed)
		print "#include <stddef.h>\n#include <stdint.h>"
		for (f = 0; f < n; f++) {
			printf "uint64_t f%d_%d(uint32_t *p, size_t n, " \
			       "uint64_t s)\n{\n", seed, f
			printf "\tuint32_t t[16] = {0};\n"
			printf "\tfor (size_t i = 0; i < n; i++) {\n"
			for (k = 0; k < 12; k++)
				printf "\t\tif (p[i] %% %d == %d) { s += " \
				       "p[i] * %dull; t[%d] ^= (uint32_t)(s " \
				       ">> %d); }\n\t\telse s ^= t[(s + %d) " \
				       "& 15] * (uint64_t)(i + %d);\n", \
				       2 + int(rand() * 40), k, \
				       1 + int(rand() * 1e6), \
				       int(rand() * 16), int(rand() * 32), k, \
				       int(rand() * 99)
			printf "\t}\n"
			if (f)
				printf "\tif (n > %d) s += f%d_%d(p, n / 2, " \
				       "s);\n", f + 3, seed, f - 1
			printf "\treturn s + t[%d];\n}\n", f % 16
		}
	}'
}

case $program in
python)
	need python3
	# The interpreter itself: what is in PATH may be a script.
	python=$(python3 -c 'import sys; print(sys.executable)')
	count=$((400000 * level))
	cat >"$tmp/p.py" <<-PYTHON
		import hashlib, random
		r = random.Random(7)
		d = {}
		for i in range($count):
		    d["key%d" % r.randrange(10**9)] = (i, str(r.random()))
		keys = sorted(d, key=lambda k: (d[k][1], k))
		h = hashlib.sha256()
		for k in keys:
		    h.update(("%s=%r\n" % (k, d[k])).encode())
		for k in keys[::2]:
		    del d[k]
		print(len(keys), len(d), h.hexdigest())
		raise SystemExit(9)
	PYTHON
	export PYTHONHASHSEED=0
	native "$python" "$tmp/p.py"
	compare "$python" "$tmp/p.py"
	;;
sort)
	"$tool" text $((80000000 * level)) 3 >"$tmp/text"
	export LC_ALL=C
	native sort -S 160M --parallel=2 -T "$tmp" "$tmp/text"
	compare sort -S 160M --parallel=2 -T "$tmp" "$tmp/text"
	;;
gcc)
	need gcc awk
	c_source $((300 * level)) 1 >"$tmp/big.c"
	native gcc -O2 -w -c "$tmp/big.c" -o "$tmp/native.o"
	compare gcc -O2 -w -c "$tmp/big.c" -o "$tmp/under.o"
	cmp "$tmp/native.o" "$tmp/under.o" || fail "gcc: objects differ"
	;;
xz)
	need xz
	"$tool" text $((20000000 * level)) 4 >"$tmp/text"
	set -- xz -9 -T2 --block-size=8MiB -c "$tmp/text"
	native "$@"
	compare "$@"
	;;
make)
	need gcc make awk
	mkdir "$tmp/tree"
	{
		echo "objects ="
		for i in $(seq $((12 * level))); do
			c_source 60 "$i" >"$tmp/tree/u$i.c"
			echo "objects += u$i.o"
			echo "uint64_t f${i}_59(uint32_t *, size_t, uint64_t);" \
				>>"$tmp/tree/all.h"
			echo "s += f${i}_59(a, 999, $i);" >>"$tmp/tree/calls.h"
		done
		printf 'program: main.o $(objects)\n\tgcc -o $@ $^\n'
		printf '%%.o: %%.c\n\tgcc -O2 -w -c -o $@ $<\n'
		printf 'clean:\n\trm -f program *.o\n'
	} >"$tmp/tree/Makefile"
	cat >"$tmp/tree/main.c" <<-'C'
		#include <stddef.h>
		#include <stdint.h>
		#include <stdio.h>
		#include "all.h"
		int main(void)
		{
			static uint32_t a[1000];
			uint64_t s = 1;
			for (int i = 0; i < 1000; i++)
				a[i] = i * 2654435761u;
		#include "calls.h"
			printf("%llx\n", (unsigned long long)s);
			return s & 63;
		}
	C
	cat >"$tmp/build" <<-'SH'
		cd "$1" && make -s -j4 >/dev/null || exit 99
		./program
		rc=$?
		sha256sum program *.o
		make -s clean
		exit $rc
	SH
	native sh "$tmp/build" "$tmp/tree"
	compare sh "$tmp/build" "$tmp/tree"
	[ "$want_rc" != 99 ] || fail "make: it does not build natively"
	;;
*) skip "no program $program" ;;
esac
finish
