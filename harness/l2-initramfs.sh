#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the guest's (L2's) initramfs: build/l2/initramfs.gz with one program.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

OUT=$BUILD/l2
SRC=$ROOT/harness/l2

need gcc libc6-dev cpio
if [ -e "$OUT/initramfs.gz" ] && [ -z "$(find "$SRC" -name '*.[ch]' -newer "$OUT/initramfs.gz")" ]; then
	exit 0
fi
rm -rf "$OUT"
mkdir -p "$OUT/root"
gcc -O2 -Wall -Wextra -Werror -static -s -o "$OUT/root/init" "$SRC"/*.c
mkdir "$OUT/root/dev" "$OUT/root/proc"
(cd "$OUT/root" && find . -print0 | cpio --quiet --null -o -H newc -R 0:0 | gzip -9) \
	>"$OUT/initramfs.gz.new"
mv "$OUT/initramfs.gz.new" "$OUT/initramfs.gz"
say "the guest's initramfs is $OUT/initramfs.gz"
