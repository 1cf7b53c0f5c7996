#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# How much the patches weigh: lines added to existing files, per patch and in
# total (lines taken away are shown, too).

set -euo pipefail
. "$(dirname "$0")/lib.sh"

total=0 removed=0
while read -r name; do
	patch=$ROOT/patches/linux-6.12/$name
	plus=$(sed '1,/^diff --git/d' "$patch" | grep -c '^+[^+]\|^+$' || :)
	minus=$(sed '1,/^diff --git/d' "$patch" | grep -c '^-[^-]\|^-$' || :)
	files=$(grep -c '^diff --git' "$patch")
	printf '%4d added %3d removed in %2d files  %s\n' "$plus" "$minus" "$files" "$name"
	total=$((total + plus)) removed=$((removed + minus))
done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$ROOT/patches/linux-6.12/series")
echo "removed $removed"
echo "total $total"
