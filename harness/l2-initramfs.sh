#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the initramfs of the guests (L2), in build/l2: initramfs.gz with the one program
# of the guest that is introspected, tool.gz with what a tool in a VM of its own needs.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

OUT=$BUILD/l2
SRC=$ROOT/harness/l2
STATIC=$BUILD/tools-static

# pack NAME: the directory $OUT/NAME becomes $OUT/NAME.gz.
pack() {
	(cd "$OUT/$1" && find . -print0 | cpio --quiet --null -o -H newc -R 0:0 | gzip -9) \
		>"$OUT/$1.gz.new"
	mv "$OUT/$1.gz.new" "$OUT/$1.gz"
	say "       build/l2/$1.gz"
}

# current NAME FILE...: is $OUT/NAME.gz as new as all of these?
current() {
	local made=$OUT/$1.gz

	shift
	[ -e "$made" ] && [ -z "$(find "$@" -newer "$made")" ]
}

make_guest() {
	! current initramfs "$SRC"/*.[ch] || return 0
	rm -rf "$OUT/initramfs"
	mkdir -p "$OUT/initramfs"/{dev,proc}
	gcc -O2 -Wall -Wextra -Werror -static -s -o "$OUT/initramfs/init" "$SRC"/*.c
	pack initramfs
}

# The tools once more: this VM has no shared libraries.
build_tools() {
	make -C "$ROOT/tools/kvm/kvmi" O="$STATIC" LDFLAGS=-static -j"$JOBS"
	gcc -O2 -Wall -Wextra -Werror -static -I"$ROOT/tools/lib/kvmi/include" -I"$STATIC/uapi" \
		-o "$STATIC/mapper" "$SRC/tool/mapper.c" "$STATIC/libkvmintro.a" -lnettle
}

make_tool() {
	local root=$OUT/tool programs=("$STATIC"/{kvmi,mapper} /bin/busybox)

	step "build the tools for a VM" "$LOGS/tools-static.log" build_tools
	! current tool "$SRC/tool/init.sh" "${programs[@]}" || return 0
	rm -rf "$root"
	mkdir -p "$root/bin"
	install -s "${programs[@]}" "$root/bin"
	install "$SRC/tool/init.sh" "$root/init"
	pack tool
}

need build-essential cpio pkg-config libjson-c-dev nettle-dev busybox-static
locked l2
mkdir -p "$OUT"
make_guest
make_tool
