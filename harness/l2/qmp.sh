# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by dump.sh, after guest.sh: QEMU's monitor, and what QEMU says about the guest's
# memory. ${QMP[@]} are the arguments of QEMU for it.

# shellcheck disable=SC2034 # dump.sh uses it
QMP=(-chardev "pipe,id=qmp,path=$RUN/qmp" -mon "chardev=qmp,mode=control")

make_qmp() { mkfifo "$RUN/qmp.in" "$RUN/qmp.out"; }

open_qmp() {
	exec {QMP_IN}<>"$RUN/qmp.in" {QMP_OUT}<>"$RUN/qmp.out"
	qmp qmp_capabilities
}

# qmp COMMAND [ARGUMENTS]: whether it succeeds; what it returns, as JSON, is in $ANSWER.
qmp() {
	echo "{\"execute\": \"$1\", \"arguments\": {${2:-}}}" >&"$QMP_IN"
	while IFS= read -r -t "$PATIENCE" ANSWER <&"$QMP_OUT"; do
		case $ANSWER in
		'{"return"'*) return 0 ;;
		'{"error"'*) break ;;
		esac
	done
	note "QMP: $1: ${ANSWER:-no answer}"
	return 1
}

# join: lines "ADDRESS SIZE", where one ends and the next begins made one.
join() {
	local first size from='' end=0

	while read -r first size; do
		if [ -n "$from" ] && [ $((first)) != $end ]; then
			printf '0x%x %d\n' "$from" $((end - from))
			from=
		fi
		[ -n "$from" ] || from=$((first))
		end=$((first + size))
	done
	[ -z "$from" ] || printf '0x%x %d\n' "$from" $((end - from))
}

# What QEMU has given to KVM, of the memory that the vCPUs see: lines "ADDRESS SIZE".
kvm_memory() {
	local first last

	qmp human-monitor-command '"command-line": "info mtree -f"' || return 1
	sed 's/\\r\\n/\n/g; s/\\//g' <<<"$ANSWER" |
		awk '/^FlatView/ { ours = 0 } / AS "memory"/ { ours = 1 } ours && / KVM$/ { print $1 }' |
		while IFS=- read -r first last; do
			echo "0x$first $((16#$last + 1 - 16#$first))"
		done | join
}

# save_memory: all of that into files of $RUN/saved, one for each line.
save_memory() {
	local first size

	rm -rf "$RUN/saved"
	mkdir "$RUN/saved"
	while read -r first size; do
		qmp pmemsave "\"val\": $((first)), \"size\": $size, \"filename\": \"$RUN/saved/$first\"" || return 1
	done <<<"$MEMORY"
}

# saved_in FILE: it holds at its address what save_memory saved.
saved_in() {
	local first size

	[ -s "$1" ] || return 1
	while read -r first size; do
		[ "$(stat -c %s "$RUN/saved/$first")" = "$size" ] || return 1
		cmp -n "$size" -i "0:$((first))" "$RUN/saved/$first" "$1" | sed 's/^/# /' || return 1
	done <<<"$MEMORY"
}

# What most dumps are asked for.
RANGE=()

# It takes long to dump and compare everything again and again, under Bochs and on the debug
# kernel: from here on only what lies from a little below the hole on.
look_at_less() {
	local from=$((LOW - 0x400000)) first size

	RANGE=(--range "$(printf '0x%x' $from)")
	MEMORY=$(while read -r first size; do
		if [ $((first)) -lt $from ]; then
			size=$((first + size - from)) first=$from
		fi
		[ "$size" -le 0 ] || printf '0x%x %d\n' "$((first))" "$size"
	done <<<"$MEMORY")
	save_memory
}
