# SPDX-License-Identifier: GPL-2.0-only
#
# The output of e2e.sh for people; consoles go into files of the directory dir.

/^console [a-z]+\|/ {
	name = substr($2, 1, index($2, "|") - 1)
	file = dir "/L2-" name ".log"
	if (!(file in seen)) {
		printf "" >file
		seen[file] = 1
	}
	print substr($0, index($0, "|") + 1) >>file
	next
}
/^ok [0-9]+ - /     { sub(/^ok [0-9]+ - /, "  ok: "); print; fflush(); next }
/^not ok [0-9]+ - / { sub(/^not ok [0-9]+ - /, "  FAILED: "); print; fflush(); next }
/^# > /             { sub(/^# > /, "\n(kvmi) "); print; fflush(); next }
/^# \$ /            { sub(/^# \$ /, "\n$ "); print; fflush(); next }
/^1\.\.[0-9]+/      { next }
/^exit [0-9]+/      { next }
                    { sub(/^# /, ""); print; fflush() }
