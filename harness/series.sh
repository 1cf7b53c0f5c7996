#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Write the series to submit: build/series/linux-6.12/*.patch, made by git
# format-patch from patches and overlay in the order of harness/series/order.
# The sum of its commits is checked to be the assembled tree.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

OUT=$BUILD/series/linux-6.12
LIST=$ROOT/harness/series
PATCHES=$ROOT/patches/linux-6.12
SIGN="Signed-off-by: $(git -C "$ROOT" config user.name) <$(git -C "$ROOT" config user.email)>"
WORK=$(mktemp -d "$BUILD/series.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
export GIT_INDEX_FILE=$WORK/index GIT_DIR=$TREE/.git

commit_index() {
	HEAD_NEW=$(git commit-tree "$(git write-tree)" -p "$HEAD_NEW" -F "$1")
}

add_patch() {
	git mailinfo -b "$WORK/body" "$WORK/diff" <"$PATCHES/$1" >"$WORK/head"
	git apply --cached --whitespace=nowarn "$WORK/diff"
	{ sed -n 's/^Subject: //p' "$WORK/head"; echo; cat "$WORK/body"; } >"$WORK/message"
	commit_index "$WORK/message"
}

add_files() {
	local patterns

	read -r -a patterns < <(sed -n 's/^files: //p' "$LIST/$1")
	git ls-tree -r refs/kvmi/assembled -- "${patterns[@]}" >"$WORK/ours"
	git ls-tree -r base -- "${patterns[@]}" | cut -f 2 >"$WORK/theirs"
	awk -F'\t' 'FILENAME == ARGV[1] { theirs[$1]; next } !($2 in theirs)' "$WORK/theirs" "$WORK/ours" |
		git update-index --index-info
	{ sed '/^files: /,/^$/d' "$LIST/$1"; echo; echo "$SIGN"; } >"$WORK/message"
	commit_index "$WORK/message"
}

locked linux-6.12
git read-tree base
HEAD_NEW=$(git rev-parse base)
while read -r name; do
	if [ -f "$PATCHES/$name" ]; then add_patch "$name"; else add_files "$name"; fi
done < <(sed -e '/^#/d' -e '/^$/d' "$LIST/order")
left=$(git diff-tree -r --name-status "$HEAD_NEW" refs/kvmi/assembled)
[ -z "$left" ] || die "harness/series/order leaves these out (or has them in vain):
$left"
rm -rf "$OUT"
mkdir -p "$OUT"
git format-patch -q -o "$OUT" --no-signature base.."$HEAD_NEW"
for patch in "$OUT"/*.patch; do echo "${patch#"$ROOT"/}"; done
