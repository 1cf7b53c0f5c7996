# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by e2e.sh: L2 patches its own code while it boots, and a tool that watches this
# code from the kernel's begin hears of it.

# located SYMBOL: its physical address. L2's kernel lies where it was linked to.
located() { printf '0x%x' $(($(symbol "$1") - 0xffffffff80000000)); }

# watch_boot COMMAND...: run COMMAND, which starts the guest, with a tool that stops it
# where its kernel writes CR3 for the first time, and watches from there until it is
# ready. Then the kernel is unpacked and still runs at its physical address.
watch_boot() {
	local text etext rodata end size tool patched

	text=$(located _text) etext=$(located _etext)
	rodata="$(located __start_rodata)-$(located __end_rodata) w" end=$(located __end_rodata)
	# Tables that the kernel sorts are in its read-only data: nine of ten writes. They
	# take Bochs longer than everything else together.
	[ "${KVMI_CPU:-amd}" = amd ] || rodata='' end=$etext
	size=$((end - text))
	printf '%s\n' "pause --keep --cr 3 --rip $text-$etext" \
		"read $text $size --output $RUN/boot-before" \
		"watch $text-$etext w $rodata --resume" \
		"read $text $size --output $RUN/boot-after" >"$RUN/boot-batch"
	note "kvmi listen ... batch:"
	sed 's/^/#     /' "$RUN/boot-batch"
	"$KVMI" listen "$SOCKET" batch "$RUN/boot-batch" >"$RUN/booted" 2>&1 &
	tool=$!
	"$@"
	kill "$tool" || :
	check "the tool ends in order" wait "$tool"
	sed '/ pf w gpa/d; s/^/#     /' "$RUN/booted"

	compare_changes "$text" "$RUN/boot-before" "$RUN/boot-after" "$RUN/booted"
	patched=$(awk -v end="$((etext))" '$1 < end' "$RUN/changed" | wc -l)
	note "$patched of these bytes are code"
	check "it was stopped at the kernel's begin" grep -q '^paused 2 vCPUs' "$RUN/booted"
	check "its writes were reported" within "$(wc -l <"$RUN/written")" 100 1000000
	check "its kernel has patched itself" within "$patched" 100 1000000
	check "every change was reported at its address" same "$(unheard 8)" 0
	check "no report names another page" same \
		"$(awk -v b="$((text))" -v e="$((end))" '$1 < b || $1 >= e' "$RUN/written" | wc -l)" 0
}
