#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Look for what is wrong without running it. Prints one finding per line under
# the name of the check; exits 0 only when there is none.
#
# usage: lint.sh [CHECK...]

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need git perl codespell shellcheck python3-ply python3-git
[ -d "$TREE/.git" ] || die "build/linux-6.12 does not exist: run 'make tree'"
CHECKPATCH=$TREE/scripts/checkpatch.pl
mapfile -t FILES < <(git ls-files -co --exclude-standard | while read -r f; do
	[ ! -f "$f" ] || echo "$f"; done)

ours() { printf '%s\n' "${FILES[@]}" | grep -E "$@" || :; }

# checkpatch IGNORED OPTION FILE...: what it says to FILEs, some at a time.
checkpatch() {
	local ignored=$1 option=$2

	shift 2
	[ $# -gt 0 ] || return 0
	cd "$TREE"
	printf "$ROOT/%s\n" "$@" | xargs -P "$JOBS" -n 5 "$CHECKPATCH" --strict --terse \
		--no-summary "$option" --ignore "FILE_PATH_CHANGES,$ignored" | sed "s|$ROOT/||" || :
}

check_checkpatch() {
	local user=STRCPY,STRNCPY,STRLCPY,ARRAY_SIZE,PREFER_KERNEL_TYPES,CAMELCASE,ENOSYS,VOLATILE

	user+=,PREFER_DEFINED_ATTRIBUTE_MACRO,EMBEDDED_FUNCTION_NAME,NAKED_SSCANF,COMPLEX_MACRO
	user+=,MULTISTATEMENT_MACRO_USE_DO_WHILE,MACRO_WITH_FLOW_CONTROL,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE
	# Tables of tests are lists of rows, of which each user takes what it needs.
	user+=,MACRO_ARG_UNUSED,TRAILING_SEMICOLON,BRACKET_SPACE
	# shellcheck disable=SC2046 # no name has a space in it
	{
		# The one macro that uses its argument twice takes the name of a member.
		# The kernel itself has the names of MTRRs in mixed case.
		checkpatch MACRO_ARG_REUSE,CAMELCASE --file $(ours '\.[chS]$' | grep -vE '^(qemu|tools|harness|include/trace)/')
		# User space has no kernel types and functions.
		checkpatch $user --file $(ours '^(tools|harness)/.*\.[ch]$')
		# TRACE_EVENT() is laid out as everywhere in the kernel.
		checkpatch OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT --file $(ours '^include/trace/.*\.h$')
		checkpatch '' --patch $(ours '^patches/linux.*\.patch$')
	}
}

check_qemu_checkpatch() {
	local f

	[ -d "$BUILD/qemu-7.2" ] || { echo "build/qemu-7.2 does not exist: run 'make qemu'"; return; }
	cd "$BUILD/qemu-7.2"
	for f in $(ours '^qemu/.*\.[ch]$|^patches/qemu.*\.patch$'); do
		set -- -f
		[[ $f != *.patch ]] || set --
		./scripts/checkpatch.pl --terse --no-summary "$@" "$ROOT/$f" | sed "s|$ROOT/||" || :
	done
}

check_shell() {
	local f

	for f in $(ours -v '^(LICENSES|patches)/'); do
		if head -n 1 "$f" | grep -qE '^#!.*\b(ba)?sh|shellcheck shell=' ||
		   [[ $f == *.sh ]]; then
			shellcheck -x -P SCRIPTDIR -f gcc "$f" || :
		fi
	done
}

check_spelling() {
	ours -v '^LICENSES/|^patches/.*\.patch$' | tr '\n' '\0' |
		xargs -0 codespell --ignore-words harness/spelling.words || :
	# Of a patch only what it adds is ours.
	sed -n 's/^+//p' patches/*/*.patch | codespell --ignore-words harness/spelling.words - || :
}

check_licence() {
	local f

	for f in $(ours -v '^LICENSES/|\.patch$|\.md$|^harness/series/[a-z0-9]+$|/(base|series)$|^\.git|^MAINTAINERS$|\.rc$|/config$|\.words$|\.patterns$'); do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier:' || echo "$f: no SPDX line at the top"
	done
}

check_run_bits() {
	local f

	for f in "${FILES[@]}"; do
		if head -c 2 "$f" | grep -q '^#!'; then
			[ -x "$f" ] || echo "$f: a script that cannot be run: chmod +x"
		elif [ -x "$f" ]; then
			echo "$f: can be run, but is no script: chmod -x"
		fi
	done
}

check_size() {
	local f lines limit

	for f in $(ours -v '^(LICENSES|patches|Documentation)/|\.md$'); do
		lines=$(wc -l <"$f")
		case $f in
		*.sh) limit=150 ;;
		Makefile) limit=300 ;;
		include/uapi/* | arch/*/include/uapi/*) limit=1000 ;;
		*) limit=400 ;;
		esac
		[ "$lines" -le $limit ] || echo "$f: $lines lines, more than $limit"
	done
}

# The repository must mean the same wherever it lies.
check_paths() {
	local parent

	parent=$(dirname "$ROOT")
	git grep -nF --untracked -e "$ROOT" -- . || :
	# A parent such as /root or /build is a word that scripts use for their own.
	[[ $parent != /*/* ]] || git grep -nF --untracked -e "$parent/" -- . || :
	git grep -nE --untracked -e '/home/[a-z]' -e '(file|ssh)://' -- . ':!LICENSES' || :
	ours '(^|/)(\.config|core\.[0-9]+|.*\.(o|ko|orig|rej|swp|pyc))$' | sed 's/$/: does not belong here/'
}

check_tables() { harness/lint-tables.sh || :; }
check_series() { { harness/series.sh >/dev/null; } 2>&1 || :; }
check_build() { harness/lint-build.sh || echo "harness/lint-build.sh broke off"; }
check_docs() { "$ROOT/harness/docs.sh" >/dev/null || echo "make docs fails, see above"; }

CHECKS=(licence run_bits size paths tables series shell spelling checkpatch qemu_checkpatch docs build)
[ $# -eq 0 ] || CHECKS=("$@")
total=0
for check in "${CHECKS[@]}"; do
	began=$SECONDS
	# In a shell of its own, because some go elsewhere.
	("check_$check") >"$LOGS/lint-$check" || echo "the check itself failed" >>"$LOGS/lint-$check"
	found=$(wc -l <"$LOGS/lint-$check")
	printf '%4d s %-16s %s\n' $((SECONDS - began)) "$check" \
		"$([ "$found" = 0 ] && echo ok || echo "$found findings")"
	sed 's/^/       /' "$LOGS/lint-$check"
	total=$((total + found))
done
echo "$total findings"
[ $total = 0 ]
