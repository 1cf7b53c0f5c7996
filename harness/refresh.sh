#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Write the patches of patches/NAME again from the commits in build/NAME.
#
# usage: refresh.sh [linux-6.12|qemu-7.2]
#
# Change an existing file in build/NAME, commit it there and run this:
#   git commit --fixup=:/'subject of a patch'   the change joins that patch
#   git commit                                  the change becomes a new patch
# Files of the overlay are changed in the repository, not there.
#
# Each file's part of a patch carries the least context (1 to 3 lines) with
# which each of its hunks fits in one place only.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

NAME=${1:-linux-6.12}
TREE=$BUILD/$NAME
PATCHES=$ROOT/patches/$NAME

tree_git() { git -C "$TREE" "$@"; }

subject() { tree_git log -1 --format=%s "$1"; }
trailer() { tree_git log -1 --format='%(trailers:key=Patch,valueonly)' "$1" | sed '/^$/d'; }

# Commits after the base in order, without the one of the overlay.
commits() {
	local c

	for c in $(tree_git rev-list --reverse base..HEAD); do
		[ "$(subject "$c")" = "kvmi: Add the files of the overlay" ] || echo "$c"
	done
}

apply() {
	tree_git diff-tree -p --binary "$1^" "$1" >"$WORK/diff"
	tree_git apply --cached --whitespace=nowarn "$WORK/diff" ||
		die "the change of '$(subject "$1")' does not apply where its patch belongs:
  make it a commit of its own, or move the commit it needs"
}

# Does each hunk of the diff on stdin fit in one place of FILE only?
is_unique() {
	awk -v file="$1" '
		BEGIN { while ((getline line < file) > 0) old[++n] = line }
		function check(   i, j, found) {
			for (i = 1; len && i <= n - len + 1; i++) {
				for (j = 1; j <= len && old[i + j - 1] == want[j]; j++);
				found += j > len
			}
			if (len && found != 1)
				exit status = 1
			len = 0
		}
		/^@@/ { check(); inside = 1; next }
		inside && /^[ -]/ { want[++len] = substr($0, 2) }
		END { if (!status) check(); exit status }'
}

patch_body() {
	local from=$1 to=$2 file context

	for file in $(tree_git diff-tree -r --name-only "$from" "$to"); do
		tree_git show "$from:$file" >"$WORK/old" 2>/dev/null || : >"$WORK/old"
		for context in 1 2 3; do
			tree_git diff-tree -r -p "-U$context" --inter-hunk-context=0 \
				"$from" "$to" -- "$file" | sed '/^index /d' >"$WORK/diff"
			! is_unique "$WORK/old" <"$WORK/diff" || break
		done
		cat "$WORK/diff"
	done
}

write_patch() {
	local commit=$1 file=$2

	{
		tree_git log -1 --format='From: %an <%ae>%nSubject: [PATCH] %s%n%n%b' "$commit" |
			sed '/^Patch: /d' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
		echo ---
		patch_body "$BEFORE" "$AFTER"
	} >"$WORK/patches/$file"
	echo "$file" >>"$WORK/series"
}

new_name() {
	local last

	last=$(sed '/^#/d; s/-.*//' "$WORK/series" | sort -n | tail -n 1)
	printf '%s-%s.patch' $((${last:-0} / 10 * 10 + 10)) \
		"$(subject "$1" | sed 's/.*: //; s/[^A-Za-z0-9]\+/-/g' | tr '[:upper:]' '[:lower:]' | cut -c 1-40)"
}

[ -d "$TREE/.git" ] || die "build/$NAME does not exist: run 'make tree' or 'make qemu'"
WORK=$(mktemp -d "$BUILD/refresh.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
mkdir "$WORK/patches"
# The comment at the top of the series is written by hand.
sed '/^[^#]/,$d' "$PATCHES/series" >"$WORK/series"
locked "$NAME"

[ -z "$(tree_git diff --name-only HEAD)" ] ||
	say "warning: build/$NAME has uncommitted changes, which are left out"
export GIT_INDEX_FILE=$TREE/.git/refresh.index
overlay=$(tree_git diff-tree -r --name-only --diff-filter=A base HEAD)
mapfile -t all < <(commits)
BEFORE=$(tree_git rev-parse 'base^{tree}')
tree_git read-tree base
for c in "${all[@]}"; do
	[[ $(subject "$c") != fixup!* ]] || continue
	apply "$c"
	for f in "${all[@]}"; do
		[ "$(subject "$f")" != "fixup! $(subject "$c")" ] || apply "$f"
	done
	AFTER=$(tree_git write-tree)
	touched=$(tree_git diff-tree -r --name-only "$BEFORE" "$AFTER" | grep -Fx -f <(printf '%s\n' "$overlay") || :)
	[ -z "$touched" ] || die "'$(subject "$c")' changes files of the overlay; change them in the repository:
$touched"
	file=$(trailer "$c")
	write_patch "$c" "${file:-$(new_name "$c")}"
	BEFORE=$AFTER
done
unset GIT_INDEX_FILE
for f in "$PATCHES"/*.patch; do
	[ -e "$WORK/patches/${f##*/}" ] || rm -f "$f"
done
for f in "$WORK"/patches/*.patch "$WORK/series"; do
	cmp -s "$f" "$PATCHES/${f##*/}" || { cp "$f" "$PATCHES/"; say "       written: patches/$NAME/${f##*/}"; }
done
tree_git update-ref refs/kvmi/assembled HEAD
