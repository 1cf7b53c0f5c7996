# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Assemble a source tree inside a scratch git repository: one commit for the
# pristine source (tag "base"), one per patch, one for the overlay
# (refs/kvmi/assembled). Only files whose content changes are written, so that
# the next build stays incremental. Sourced by tree.sh and qemu-tree.sh, which set
#
#   TREE           the scratch tree            PATCHES  its base, series and patches
#   OVERLAY        where the new files are     OVERLAY_ROOTS  which of them count
#   IDENTITY       what the base is made from
#   unpack_source DIRECTORY       unpacks it
#   source_version DIRECTORY      names it, and dies if it is the wrong one

export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
NAME=$(basename "$TREE")

tree_git() { git -C "$TREE" -c core.fsync=none "$@"; }

# commit_index is the last part of pipelines and sets HEAD_NEW.
shopt -s lastpipe

commit_source() {
	local new=$1 version

	version=$(source_version "$new")
	git -C "$new" init -q -b scratch
	git -C "$new" config user.name "$(git -C "$ROOT" config user.name || echo kvmi)"
	git -C "$new" config user.email "$(git -C "$ROOT" config user.email || echo kvmi@localhost)"
	git -C "$new" config core.compression 1
	git -C "$new" config gc.auto 0
	git -C "$new" -c core.fsync=none add -A -f .
	git -C "$new" commit -q -m "$version"
	git -C "$new" tag base
	git -C "$new" update-ref refs/kvmi/assembled HEAD
	printf '%s\n' "$IDENTITY" >"$new/.git/kvmi-base"
	rm -rf "$TREE"
	mv "$new" "$TREE"
}

# Work that exists only in the scratch tree must not be lost.
must_be_saved() {
	[ -d "$TREE/.git" ] || return 0
	[ "$(tree_git rev-parse HEAD)" = "$(tree_git rev-parse refs/kvmi/assembled)" ] ||
		die "build/$NAME has commits that are not in patches/$NAME: run 'make refresh' first
  (or drop them: git -C build/$NAME reset --keep refs/kvmi/assembled)"
}

base_is_current() { [ "$IDENTITY" = "$(cat "$TREE/.git/kvmi-base" 2>/dev/null)" ]; }

update_base() {
	base_is_current && return
	rm -rf "$TREE.new"
	mkdir -p "$TREE.new"
	step "unpack the source of $NAME" "$LOGS/tree.log" unpack_source "$TREE.new"
	step "record it in a scratch git tree" "$LOGS/tree.log" commit_source "$TREE.new"
}

commit_index() {
	HEAD_NEW=$(tree_git commit-tree "$(tree_git write-tree)" -p "$HEAD_NEW" -F -)
}

series() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$PATCHES/series"; }

# git apply accepts shifted lines (and says so) but no fuzz.
apply_series() {
	local name file=$TREE/.git/patch

	[ -f "$PATCHES/series" ] || return 0
	for name in $(series); do
		[ -f "$PATCHES/$name" ] || die "patches/$NAME/series names $name, which does not exist"
		tree_git mailinfo -b "$file.body" "$file.diff" <"$PATCHES/$name" >"$file.head"
		tree_git apply --cached --whitespace=nowarn -v "$file.diff" >"$file.log" 2>&1 || {
			cat "$file.log" >&2
			die "patches/$NAME/$name does not apply to $(tree_git log -1 --format=%s base)"
		}
		sed -n "s/^Hunk.*offset/$name: &/p" "$file.log" >&2
		{ sed -n 's/^Subject: //p' "$file.head"; echo; cat "$file.body"; echo; echo "Patch: $name"; } |
			commit_index
	done
}

add_overlay() {
	local list=$TREE/.git/overlay clash f

	[ -d "$OVERLAY" ] || return 0
	env -u GIT_INDEX_FILE git -C "$OVERLAY" ls-files -co --exclude-standard -- "${OVERLAY_ROOTS[@]}" |
		while read -r f; do [ ! -e "$OVERLAY/$f" ] || printf '%s\n' "$f"; done |
		sort -u >"$list"
	[ -s "$list" ] || return 0
	clash=$(tree_git ls-tree -r --name-only base | sort | comm -12 - "$list")
	[ -z "$clash" ] || die "the overlay may only add files; these exist in the base (make a patch):
$clash"
	git --git-dir="$TREE/.git" --work-tree="$OVERLAY" -C "$OVERLAY" -c core.fsync=none \
		add -f --pathspec-from-file="$list"
	echo "kvmi: Add the files of the overlay" | commit_index
}

assemble() {
	must_be_saved
	update_base
	export GIT_INDEX_FILE=$TREE/.git/assemble.index
	tree_git read-tree base
	HEAD_NEW=$(tree_git rev-parse base)
	apply_series
	add_overlay
	unset GIT_INDEX_FILE
	tree_git reset -q --keep "$HEAD_NEW" ||
		die "build/$NAME has uncommitted changes in files that change now: commit them there
  and run 'make refresh'; or, for files of the overlay, make the change in the repository"
	tree_git update-ref refs/kvmi/assembled "$HEAD_NEW"
}
