// SPDX-License-Identifier: GPL-2.0-only
/* kvmi trace: follow what the guest does. */
#include <errno.h>
#include <stdio.h>

#include "trace.h"

struct trace {
	struct follow f;
	struct trace_choice choice;
	struct trace_stats stats;
	uint32_t first, end;
	/* What could not be switched, NULL if something else failed. */
	const char *kind;
	bool new_vcpus;
};

static int fail(struct trace *t, const char *doing)
{
	if (t->kind)
		out_error("%s: %s: %s", doing, t->kind, kvmintro_error(t->f.cli->k));
	else
		out_failed(t->f.cli, doing);
	t->kind = NULL;
	return CLI_FAILED;
}

static int switch_all(struct trace *t, bool on)
{
	const char *kind;
	uint32_t vcpu;
	int first = 0, r;

	for (vcpu = t->first; vcpu < t->end && !(on && first); vcpu++) {
		r = trace_switch(&t->choice, t->f.cli->k, vcpu, on, &kind);
		if (r < 0 && !first) {
			first = r;
			t->kind = kind;
		}
	}
	return first;
}

/* New vCPUs are traced from their first instruction, if the VMM lets us know. */
static int switch_create(struct trace *t, bool on)
{
	bool chosen = t->choice.kinds & 1u << KVMI_VCPU_EVENT_CREATE;
	int r;

	if (on ? t->f.vcpu >= 0 && !chosen : !t->new_vcpus)
		return 0;
	r = kvmintro_control_vm_event(t->f.cli->k, KVMI_VCPU_EVENT_CREATE, on);
	if (on && r == -EPERM && !chosen)
		return 0;
	t->new_vcpus = on && !r;
	return r;
}

static int add_vcpu(struct trace *t, uint16_t vcpu)
{
	const char *kind;
	int r = trace_switch(&t->choice, t->f.cli->k, vcpu, true, &kind);

	if (r < 0) {
		t->kind = kind;
		return r;
	}
	if (vcpu >= t->end)
		t->end = vcpu + 1;
	return stats_add_vcpu(&t->stats, vcpu) < 0 ? -ENOMEM : 0;
}

static int take_event(struct trace *t, const struct kvmintro_event *ev)
{
	int r = 0;

	if (follow_unhook(&t->f, ev))
		return 0;
	if (ev->id == KVMI_VCPU_EVENT_CREATE && t->f.vcpu < 0)
		r = add_vcpu(t, ev->vcpu);
	/* Answer first: the vCPU waits. */
	if (r >= 0)
		r = kvmintro_continue(t->f.cli->k, ev);
	if (r < 0)
		return r;
	if (ev->id >= KVMI_NUM_EVENTS || !(t->choice.kinds & 1u << ev->id))
		return 0;
	t->f.done++;
	if (stats_add(&t->stats, ev) < 0) {
		out_error("out of memory");
		return -ENOMEM;
	}
	if (t->f.summary)
		return 0;
	if (t->f.cli->json)
		out_json(trace_json(ev, follow_seconds(&t->f)));
	else
		trace_print(ev, follow_seconds(&t->f));
	return 0;
}

static int follow(struct trace *t)
{
	struct kvmintro_event ev;
	int r = 0;

	while (r >= 0 && !follow_ended(&t->f)) {
		r = follow_next(&t->f, &ev);
		if (r > 0)
			r = take_event(t, &ev);
	}
	return r;
}

/*
 * A vCPU answers the switches after the last event it sent. So when all are
 * answered, all events are here, and can be answered in turn.
 */
static int stop(struct trace *t)
{
	struct kvmintro_event ev;
	int create, off, r = 0;

	follow_shield(&t->f);
	create = switch_create(t, false);
	off = switch_all(t, false);
	while (r >= 0 && kvmintro_pending_events(t->f.cli->k)) {
		r = kvmintro_wait_event(t->f.cli->k, 0, &ev);
		if (r > 0)
			r = take_event(t, &ev);
	}
	follow_finish(&t->f);
	return create ? create : off ? off : r;
}

static int summarize(struct trace *t, double seconds)
{
	if (t->f.cli->json)
		out_json(stats_json(&t->stats, seconds));
	else
		stats_print(&t->stats, seconds);
	return out_flush();
}

static int trace(struct trace *t)
{
	int r, failed = CLI_OK;
	double seconds;

	follow_start(&t->f);
	r = switch_create(t, true);
	if (!r)
		r = switch_all(t, true);
	follow_start(&t->f);
	if (!r)
		r = follow(t);
	if (r < 0)
		failed = fail(t, "trace");
	seconds = follow_seconds(&t->f);
	/* What could not be switched on cannot be switched off either. */
	if (kvmintro_fd(t->f.cli->k) >= 0 && stop(t) < 0 && !failed)
		failed = fail(t, "trace: switching off");
	return summarize(t, seconds) | failed ? CLI_FAILED : CLI_OK;
}

static int parse_args(int argc, char **argv, struct trace *t)
{
	static const struct option longs[] = {
		{ "event", required_argument, NULL, 'e' },
		{ "cr", required_argument, NULL, 'c' },
		{ "msr", required_argument, NULL, 'm' },
		FOLLOW_OPTIONS,
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_trace, argc, argv, "", longs)) != -1) {
		if (opt == 'e')
			r = trace_choose_kinds(optarg, &t->choice);
		else if (opt == 'c')
			r = trace_choose_crs(optarg, &t->choice);
		else if (opt == 'm')
			r = trace_choose_msrs(optarg, &t->choice);
		else
			r = follow_option(&t->f, opt);
	}
	if (!r && optind != argc)
		r = cli_usage(&command_trace);
	trace_defaults(&t->choice);
	return r;
}

static int run_trace(struct cli *cli, int argc, char **argv)
{
	struct trace t = { .f = { .vcpu = -1, .duration = -1 } };
	uint32_t vcpus;
	int r;

	r = parse_args(argc, argv, &t);
	if (!r)
		r = follow_connect(&t.f, cli, "trace");
	if (r)
		return r;
	if (kvmintro_get_vcpu_count(cli->k, &vcpus) < 0)
		return out_failed(cli, "trace");
	t.first = t.f.vcpu < 0 ? 0 : t.f.vcpu;
	t.end = t.f.vcpu < 0 ? vcpus : (uint32_t)t.f.vcpu + 1;
	if (stats_init(&t.stats, vcpus) < 0) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	r = trace(&t);
	stats_free(&t.stats);
	return r;
}

const struct cli_command command_trace = {
	.name = "trace",
	.args = "[--event LIST] [--cr LIST] [--msr LIST] [--vcpu N] [--duration SECONDS]\n"
		"            [--count N] [--summary]",
	.summary = "follow what the guest does",
	.help =
	"Prints each event: when, which vCPU, what, and where. At the end it prints how many\n"
	"there were, per kind, register and vCPU, and per value of CR3. Address spaces are\n"
	"values of CR3 without their low 12 bits. The guest gets what it wanted: its values\n"
	"are written, its breakpoints are its own.\n\n"
	"  --event LIST        which kinds, separated by commas (cr):\n"
	"                        cr          writes that change a control register\n"
	"                        msr         writes that change a model specific register\n"
	"                        xsetbv      writes that change XCR0\n"
	"                        breakpoint  INT3 and such\n"
	"                        hypercall   calls of the guest to the tool\n"
	"                        descriptor  LIDT, SGDT, LTR and the other five\n"
	"                        cpuid       CPUID\n"
	"                        create      new vCPUs\n"
	"                        singlestep  every instruction; interrupts wait meanwhile\n"
	"                        all         all of these but singlestep\n"
	"  --cr LIST           trace cr, of these among 0, 3 and 4 (3)\n"
	"  --msr LIST          trace msr, of these (those that decide where system calls go)\n"
	"  --vcpu N            only this vCPU; else new vCPUs are traced, too\n"
	"  --duration SECONDS  stop after this time\n"
	"  --count N           stop after N events; a vCPU can add one while it is switched off\n"
	"  --summary           print only the end\n"
	"  --json              one JSON document per event, and one for the end\n\n"
	"^C and SIGTERM stop it like the end of the time: the switches are turned off, every\n"
	"event is answered, and the guest runs on.\n",
	.run = run_trace,
};
