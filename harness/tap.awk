# SPDX-License-Identifier: GPL-2.0-only
#
# Judge one test program by its TAP output and its exit status (-v status=N).
# Prints one line per result: "pass NAME", "skip NAME" or "fail NAME". A program
# that does not announce a plan and keep it has failed, whatever else it says.

function bad(text) { failures++; print "fail " text }

/^1\.\.[0-9]+/ {
	plan += substr($1, 4)
	plans++
	if ($1 == "1..0" && tolower($0) ~ /# *skip/)
		skip_all = $0
}

/^(not )?ok([ \t]|$)/ {
	seen++
	name = $0
	sub(/^(not )?ok[ \t]*[0-9]*[ \t]*(- )?/, "", name)
	if ($1 == "not")
		bad(name)
	else if (tolower(name) ~ /# *skip/)
		print "skip " name
	else
		print "pass " name
}

/^Bail out!/ { bad($0) }

END {
	if (status == 4 && !seen || skip_all != "") {
		print "skip the whole program" (skip_all ? ": " skip_all : "")
		exit
	}
	if (!plans)
		bad("no TAP plan, so nothing can be judged (exit status " status ")")
	else if (seen < plan)
		bad("ended after " seen + 0 " of " plan " tests")
	else if (seen > plan)
		bad("ran " seen " tests where " plan " were planned")
	if (status == 124 || status == 137 || status == 143)
		bad("did not end in time (status " status ")")
	else if (status && !failures)
		bad("exit status " status " although no test failed")
}
