// SPDX-License-Identifier: GPL-2.0-only
/* kvmi watch: show each access to some of the guest's memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "watch.h"

static int switch_vcpus(struct watch *w, bool on)
{
	uint32_t vcpu;
	int first = 0, r;

	for (vcpu = 0; vcpu < w->vcpus && !(on && first); vcpu++) {
		r = kvmintro_control_event(w->f.cli->k, vcpu, KVMI_VCPU_EVENT_PF, on);
		first = first ? first : r;
	}
	return first;
}

/* New vCPUs are watched from their first instruction, if the VMM lets us know. */
static int switch_create(struct watch *w, bool on)
{
	int r;

	if (!on && !w->new_vcpus)
		return 0;
	r = kvmintro_control_vm_event(w->f.cli->k, KVMI_VCPU_EVENT_CREATE, on);
	w->new_vcpus = on && !r;
	return on && r == -EPERM ? 0 : r;
}

static int add_vcpu(struct watch *w, uint16_t vcpu)
{
	int r = kvmintro_control_event(w->f.cli->k, vcpu, KVMI_VCPU_EVENT_PF, true);

	if (r < 0)
		return r;
	if (vcpu >= w->vcpus)
		w->vcpus = vcpu + 1;
	return stats_add_vcpu(&w->stats, vcpu) < 0 ? -ENOMEM : 0;
}

/* An access that somebody wants to know of. */
static int show(struct watch *w, const struct kvmintro_event *ev)
{
	if (w->f.count && w->f.done >= w->f.count)
		return 0;
	w->f.done++;
	if (stats_add(&w->stats, ev) < 0)
		return -ENOMEM;
	if (w->f.summary)
		return 0;
	if (w->f.cli->json)
		out_json(trace_json(ev, follow_seconds(&w->f)));
	else
		trace_print(ev, follow_seconds(&w->f));
	return 0;
}

static int take_event(struct watch *w, const struct kvmintro_event *ev)
{
	int r = 0;

	if (follow_unhook(&w->f, ev))
		return 0;
	if (ev->id == KVMI_VCPU_EVENT_CREATE && w->new_vcpus)
		r = add_vcpu(w, ev->vcpu);
	/* Answer first: the vCPU waits. */
	if (r >= 0)
		r = kvmintro_continue(w->f.cli->k, ev);
	if (r < 0 || ev->id != KVMI_VCPU_EVENT_PF)
		return r;
	if (watch_asked(&w->bytes, ev->data.pf.gpa, ev->data.pf.access))
		return show(w, ev);
	w->elsewhere++;
	return 0;
}

/* The event goes on before there is anything to tell. */
static int begin(struct watch *w)
{
	int r = switch_create(w, true);

	if (!r)
		r = switch_vcpus(w, true);
	if (!r)
		r = watch_restrict(w, true);
	return r;
}

static int follow(struct watch *w)
{
	struct kvmintro_event ev;
	int r = 0;

	while (r >= 0 && !follow_ended(&w->f)) {
		r = follow_next(&w->f, &ev);
		if (r > 0)
			r = take_event(w, &ev);
	}
	return r;
}

/*
 * A vCPU answers the switch after the last event it sent. So when all are answered,
 * all events are here, and can be answered in turn. All of it is tried, whatever
 * fails; the pages come first.
 */
static int end(struct watch *w)
{
	int restricted = watch_restrict(w, false);
	int create = switch_create(w, false);
	int vcpus = switch_vcpus(w, false);
	struct kvmintro_event ev;
	int r = 0;

	while (r >= 0 && kvmintro_pending_events(w->f.cli->k)) {
		r = kvmintro_wait_event(w->f.cli->k, 0, &ev);
		if (r > 0)
			r = take_event(w, &ev);
	}
	follow_finish(&w->f);
	return restricted ? restricted : create ? create : vcpus ? vcpus : r;
}

static int summarize(const struct watch *w, double seconds)
{
	struct json_object *o;

	if (w->f.cli->json) {
		o = stats_json(&w->stats, seconds);
		json_object_object_add(o, "elsewhere", json_object_new_uint64(w->elsewhere));
		out_json(o);
	} else {
		stats_print(&w->stats, seconds);
		printf("%llu elsewhere in these pages\n", (unsigned long long)w->elsewhere);
	}
	return out_flush();
}

static int watch(struct watch *w)
{
	int r, failed = CLI_OK;
	double seconds;

	/* A signal must not leave half of it done. */
	follow_shield(&w->f);
	follow_start(&w->f);
	r = begin(w);
	if (r == -EOPNOTSUPP)
		failed = watch_refused(w);
	follow_start(&w->f);
	if (!r)
		failed = follow_resume(&w->f);
	if (!r && !failed)
		r = follow(w);
	if (r < 0 && !failed)
		failed = out_failed(w->f.cli, "watch");
	seconds = follow_seconds(&w->f);
	/* Without the connection, the kernel has taken it back. */
	if (kvmintro_fd(w->f.cli->k) >= 0 && end(w) < 0 && !failed)
		failed = out_failed(w->f.cli, "watch: taking it back");
	return summarize(w, seconds) | failed ? CLI_FAILED : CLI_OK;
}

static int run_watch(struct cli *cli, int argc, char **argv)
{
	struct watch w = { .f = { .duration = -1 } };
	int r = watch_args(argc, argv, &w);

	if (!r)
		r = follow_connect(&w.f, cli, "watch");
	if (!r)
		r = watch_prepare(&w);
	if (!r && stats_init(&w.stats, w.vcpus) < 0) {
		out_error("out of memory");
		r = CLI_FAILED;
	}
	if (!r)
		r = watch(&w);
	stats_free(&w.stats);
	watch_list_free(&w.asked);
	watch_list_free(&w.bytes);
	watch_list_free(&w.pages);
	free(w.ranges);
	return r;
}

const struct cli_command command_watch = {
	.name = "watch",
	.args = "ADDR[-END] [rwx] [ADDR[-END] [rwx]]... [--ranges FILE]\n"
		"            [--virtual [--vcpu N]] [--seconds SECONDS] [--count N] [--summary]\n"
		"            [--resume]",
	.summary = "show each access to some of the guest's memory",
	.help =
	"Restricts the pages of some memory, and prints each access to that memory before it\n"
	"takes place: when, which vCPU, what (r, w or x), the physical and the virtual address,\n"
	"and where. Then the access happens; the guest notices nothing but time. At the end it\n"
	"prints how many there were, per kind and vCPU.\n\n"
	"ADDR is one byte, ADDR-END the bytes from ADDR up to, not including, END. An access is\n"
	"where it begins. Accesses to the rest of a page cost the guest as much and are not\n"
	"shown, only counted. After a range, letters say which accesses:\n\n"
	"  r   read; a page that cannot be read cannot be written either, so w, too\n"
	"  w   write\n"
	"  x   execute\n\n"
	"Without letters it is all that the host can watch: rwx, as a rule. Not every host can\n"
	"watch r without x; `info` tells: page_access_exec_only.\n\n"
	"  --ranges FILE      also the ranges in FILE: ADDR[-END] and letters in each line. #\n"
	"                     begins a comment\n"
	"  --virtual          addresses are virtual: they are translated once, at the begin,\n"
	"                     page by page, and what lies there is watched from then on\n"
	"  --vcpu N           with the page tables of this vCPU (0); every vCPU is watched\n"
	"  --seconds SECONDS  stop after this time; so does --duration\n"
	"  --count N          stop after N\n"
	"  --summary          print only the end\n"
	"  --resume           in a batch: the VM is paused, and goes on when all of it is watched\n"
	"  --json             one JSON document for each, and one for the end\n\n"
	"At the end, and on ^C and SIGTERM, the restrictions are taken back. If kvmi is killed\n"
	"or loses the connection, the kernel does that.\n",
	.run = run_watch,
};
