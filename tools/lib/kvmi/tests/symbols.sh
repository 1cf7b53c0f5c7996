#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# symbols.sh HEADERS LIBRARY: the library exports what the headers declare,
# neither more nor less.
set -euo pipefail

declared=$(grep -hoE '^[a-z].*\bkvmintro_[a-z_0-9]+\(' "$1"/*.h |
	grep -oE 'kvmintro_[a-z_0-9]+\($' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$2" | awk '$2 == "T" { print $3 }' |
	sed 's/@.*//' | sort -u)

if diff <(printf '%s\n' "$declared") <(printf '%s\n' "$exported"); then
	echo "ok 1 - exported symbols are the declared ones"
	echo "1..1"
else
	echo "not ok 1 - exported symbols are the declared ones"
	echo "# < declared in a header only; > exported only: see libkvmintro.map"
	exit 1
fi
