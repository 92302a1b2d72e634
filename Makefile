# Verbs only; Meson knows how to build. On a bare machine start with
# ./bootstrap, which installs what is needed and then calls one of these.
#
#   make            builds into build/
#   make demo       Redis in half the memory it needs, with every byte compared
#   make test       all tests; ends with "N passed, N failed, N skipped"
#   make asan tsan  the tests that make sense there, under a sanitizer
#   make soak       ten minutes of 16 threads and forks, then the same on a
#                   supervisor with ASan and UBSan, and with TSan
#   make soak-live  ten minutes of programs whose swap devices come and go
#   make tsa        clang's analysis of who holds which lock
#   make coverage   how much of the swap layer its tests reach (needs gcovr)
#   make bench      beside the kernel's swap, on an optimised build without
#                   checks; bench/spillway-bench -h tells what can be chosen.
#                   Then the swap layer alone: time, memory, fragmentation
#   make bench-quick  a small part of that, in less than three minutes
#   make bench-check   instructions of the swap layer's hot paths beside those
#                   recorded; fails when one became longer. bench-record
#                   writes down what they are now
#   make format     clang-format over our C files
#   make install    installs that optimised build (PREFIX=/usr/local, DESTDIR=)
#   make deb        Debian packages, in build-deb/ (DEB_DIR=); needs debhelper
#   make clean      removes the build folders

PREFIX ?= /usr/local
SANITIZED = unit model inject stress

all: build/build.ninja
	ninja -C build

demo: all
	demo/redis.sh build

test: all
	tests/run build

asan: build-asan/build.ninja
	SLOWER=4 tests/run build-asan $(SANITIZED) lib

tsan: build-tsan/build.ninja
	SLOWER=4 tests/run build-tsan $(SANITIZED)

SOAK_SECONDS = 600

soak: all build-asan/build.ninja build-tsan/build.ninja
	for b in build build-asan build-tsan; do \
		ninja -C $$b && SPILLWAY=$$b/src/cli/spillway \
		E2E_BIN=build/tests/e2e tests/e2e/soak.sh $(SOAK_SECONDS) || exit 1; \
	done

soak-live: all
	SPILLWAY=build/src/cli/spillway E2E_BIN=build/tests/e2e \
		tests/e2e/live.sh $(SOAK_SECONDS)

tsa:
	tests/tsa.sh

coverage: build-coverage/build.ninja
	tests/coverage build-coverage

bench: release
	SPILLWAY=build-release/src/cli/spillway bench/spillway-bench
	build-release/bench/bench_swap
	build-release/bench/bench_swap_memory
	build-release/bench/bench_frag

bench-check bench-record: build-release/build.ninja
	ninja -C build-release bench/count_path
	bench/count-instructions $(if $(filter bench-record,$@),-r)

bench-quick: release
	SPILLWAY=build-release/src/cli/spillway bench/spillway-bench --quick

release: build-release/build.ninja
	ninja -C build-release

format:
	git ls-files '*.[ch]' | xargs clang-format -i

install: build-release/build.ninja
	meson configure build-release --prefix '$(abspath $(PREFIX))'
	ninja -C build-release
	meson install -C build-release --no-rebuild

# From a copy, so that nothing is left here: what the packaging makes, it makes
# beside debian/.
DEB_DIR ?= build-deb

deb:
	rm -rf '$(DEB_DIR)'
	mkdir -p '$(DEB_DIR)/source'
	tar -c --exclude=./.git --exclude='./build*' --exclude=./bench/results . | \
		tar -x -C '$(DEB_DIR)/source'
	cd '$(DEB_DIR)/source' && dpkg-buildpackage -b -us -uc
	rm -rf '$(DEB_DIR)/source'

clean:
	rm -rf build build-asan build-tsan build-coverage build-release build-deb

build/build.ninja:
	meson setup build $(if $(CI),--werror)

build-asan/build.ninja:
	meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false \
		-Dchecks=full

build-tsan/build.ninja:
	meson setup build-tsan -Db_sanitize=thread -Db_lundef=false -Dchecks=full

build-coverage/build.ninja:
	meson setup build-coverage -Dswap_coverage=true

build-release/build.ninja:
	meson setup build-release --buildtype=release -Dchecks=off

.PHONY: all demo test asan tsan soak soak-live tsa coverage bench bench-quick \
	bench-check bench-record release format install deb clean
