#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the library and the kvmi command in build/tools.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

need build-essential pkg-config libjson-c-dev nettle-dev
locked tools
for part in lib/kvmi kvm/kvmi; do
	[ -f "$ROOT/tools/$part/Makefile" ] || continue
	step "build tools/$part" "$LOGS/tools-$(basename "$(dirname "$part")").log" \
		make -C "$ROOT/tools/$part" O="$BUILD/tools" -j"$JOBS"
done
say "       build/tools/kvmi"
