// SPDX-License-Identifier: GPL-2.0-only
/* kvmi trace: follow the guest's writes to control registers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trace.h"

struct request {
	/* Bit n: trace CRn. */
	unsigned int crs;
	int vcpu;
	int duration;
	uint64_t count;
	bool summary;
};

struct trace {
	struct cli *cli;
	const struct request *q;
	uint32_t first, end;
	struct timespec start;
	struct trace_stats stats;
};

static double elapsed(const struct trace *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - t->start.tv_sec +
	       (now.tv_nsec - t->start.tv_nsec) / 1e9;
}

static int switch_vcpu(struct trace *t, uint16_t vcpu, bool on)
{
	struct kvmintro *k = t->cli->k;
	unsigned int cr;
	int r = 0;

	/* The event goes on first and off last: it does nothing alone. */
	if (on)
		r = kvmintro_control_event(k, vcpu, KVMI_VCPU_EVENT_CR, true);
	for (cr = 0; !r && cr <= 4; cr++) {
		if (t->q->crs & 1u << cr)
			r = kvmintro_control_cr(k, vcpu, cr, on);
	}
	if (!r && !on)
		r = kvmintro_control_event(k, vcpu, KVMI_VCPU_EVENT_CR, false);
	return r;
}

static int switch_all(struct trace *t, bool on)
{
	uint32_t vcpu;
	int r = 0;

	for (vcpu = t->first; !r && vcpu < t->end; vcpu++)
		r = switch_vcpu(t, vcpu, on);
	return r;
}

static void print_event(const struct trace *t, const struct kvmintro_event *ev)
{
	const struct kvmi_vcpu_event_cr *cr = &ev->data.cr;
	struct json_object *o;

	if (!t->cli->json) {
		printf("%12.6f vCPU %u cr%u %016llx -> %016llx rip %016llx\n",
		       elapsed(t), ev->vcpu, cr->cr,
		       (unsigned long long)cr->old_value,
		       (unsigned long long)cr->new_value,
		       (unsigned long long)ev->arch.regs.rip);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "type", json_object_new_string("event"));
	json_object_object_add(o, "time", json_object_new_double(elapsed(t)));
	json_object_object_add(o, "vcpu", json_object_new_int(ev->vcpu));
	json_object_object_add(o, "cr", json_object_new_int(cr->cr));
	json_object_object_add(o, "old", json_hex(cr->old_value));
	json_object_object_add(o, "new", json_hex(cr->new_value));
	json_object_object_add(o, "rip", json_hex(ev->arch.regs.rip));
	json_object_object_add(o, "cr3", json_hex(ev->arch.sregs.cr3));
	out_json(o);
}

/* Answer first: the vCPU waits. */
static int take_event(struct trace *t, const struct kvmintro_event *ev)
{
	int r = kvmintro_continue(t->cli->k, ev);

	if (r < 0)
		return r;
	if (ev->id != KVMI_VCPU_EVENT_CR)
		return 0;
	if (stats_add(&t->stats, ev) < 0) {
		out_error("out of memory");
		return -ENOMEM;
	}
	if (!t->q->summary)
		print_event(t, ev);
	return 0;
}

static bool enough(const struct trace *t)
{
	return (t->q->count && t->stats.events >= t->q->count) ||
	       (t->q->duration >= 0 && elapsed(t) * 1000 >= t->q->duration) ||
	       ferror(stdout) || cli_signalled(t->cli);
}

static int next_timeout(const struct trace *t)
{
	int left;

	if (t->q->duration < 0)
		return -1;
	left = t->q->duration - (int)(elapsed(t) * 1000);
	return left > 0 ? left : 0;
}

static int follow(struct trace *t)
{
	struct kvmintro *k = t->cli->k;
	struct kvmintro_event ev;
	int r = 0;

	while (r >= 0 && !enough(t)) {
		r = kvmintro_wait_event(k, 0, &ev);
		if (!r) {
			/* Nothing to do: let readers see what there is. */
			fflush(stdout);
			r = kvmintro_wait_event(k, next_timeout(t), &ev);
		}
		if (r > 0)
			r = take_event(t, &ev);
	}
	if (r == -ECANCELED) {
		cli_signalled(t->cli);
		r = 0;
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
	int r = switch_all(t, false);

	while (r >= 0 && kvmintro_pending_events(t->cli->k)) {
		r = kvmintro_wait_event(t->cli->k, 0, &ev);
		if (r > 0)
			r = take_event(t, &ev);
	}
	return r;
}

static int summarize(struct trace *t, double seconds)
{
	if (t->cli->json)
		out_json(stats_json(&t->stats, seconds));
	else
		stats_print(&t->stats, seconds);
	return out_flush();
}

static int trace(struct trace *t)
{
	int r, stopped, failed = CLI_OK;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &t->start);
	r = switch_all(t, true);
	if (r < 0)
		failed = out_failed(t->cli, "trace");
	clock_gettime(CLOCK_MONOTONIC, &t->start);
	if (!r) {
		r = follow(t);
		if (r < 0)
			failed = out_failed(t->cli, "trace");
	}
	seconds = elapsed(t);
	if (kvmintro_fd(t->cli->k) >= 0) {
		stopped = stop(t);
		if (stopped < 0)
			failed = out_failed(t->cli, "trace: switching off");
	}
	return summarize(t, seconds) | failed ? CLI_FAILED : CLI_OK;
}

static int parse_crs(char *list, unsigned int *crs)
{
	uint64_t cr;
	char *text;
	int r;

	*crs = 0;
	for (text = strtok(list, ","); text; text = strtok(NULL, ",")) {
		r = parse_limited("--cr", text, 4, &cr);
		if (r)
			return r;
		*crs |= 1u << cr;
	}
	if (!*crs || *crs & ~(1u << 0 | 1u << 3 | 1u << 4)) {
		out_error("--cr: choose among 0, 3 and 4, for example --cr 0,4");
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int parse_option(struct request *q, int opt)
{
	switch (opt) {
	case 'c':
		return parse_crs(optarg, &q->crs);
	case 'v':
		return parse_vcpu(optarg, &q->vcpu);
	case 'd':
		return parse_seconds("--duration", optarg, &q->duration);
	case 'n':
		return parse_u64("--count", optarg, &q->count);
	case 's':
		q->summary = true;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

static int parse_args(int argc, char **argv, struct request *q, bool *json)
{
	static const struct option longs[] = {
		{ "cr", required_argument, NULL, 'c' },
		{ "vcpu", required_argument, NULL, 'v' },
		{ "duration", required_argument, NULL, 'd' },
		{ "count", required_argument, NULL, 'n' },
		{ "summary", no_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	int opt, r = CLI_OK;

	while (!r && (opt = next_option(&command_trace, argc, argv, "", longs)) != -1) {
		if (opt == 'j')
			*json = true;
		else
			r = parse_option(q, opt);
	}
	if (!r && optind != argc)
		r = cli_usage(&command_trace);
	return r;
}

static int run_trace(struct cli *cli, int argc, char **argv)
{
	struct request q = { .crs = 1u << 3, .vcpu = -1, .duration = -1 };
	struct trace t = { .cli = cli, .q = &q };
	bool json = cli->json;
	uint32_t vcpus;
	int r;

	r = parse_args(argc, argv, &q, &json);
	if (!r)
		r = cli_connect(cli);
	if (r)
		return r;
	if (cli->held_count) {
		out_error("trace: the VM is paused; resume it first");
		return CLI_FAILED;
	}
	if (kvmintro_get_vcpu_count(cli->k, &vcpus) < 0)
		return out_failed(cli, "trace");
	t.first = q.vcpu < 0 ? 0 : q.vcpu;
	t.end = q.vcpu < 0 ? vcpus : (uint32_t)q.vcpu + 1;
	if (stats_init(&t.stats, vcpus) < 0) {
		out_error("out of memory");
		return CLI_FAILED;
	}
	cli->json |= json;
	r = trace(&t);
	stats_free(&t.stats);
	return r;
}

const struct cli_command command_trace = {
	.name = "trace",
	.args = "[--cr 0,3,4] [--vcpu N] [--duration SECONDS] [--count N] [--summary]",
	.summary = "follow writes to control registers",
	.help =
	"Prints each write that changes a control register: when, which vCPU, old and new\n"
	"value, and where. At the end it prints how many there were, per register, vCPU and\n"
	"value of CR3. Address spaces are values of CR3 without their low 12 bits.\n\n"
	"  --cr LIST           which registers, among 0, 3 and 4 (3)\n"
	"  --vcpu N            only this vCPU\n"
	"  --duration SECONDS  stop after this time\n"
	"  --count N           stop after N events; a vCPU can add one while it is switched off\n"
	"  --summary           print only the end\n"
	"  --json              one JSON document per event, and one for the end\n\n"
	"^C and SIGTERM stop it like the end of the time: the switches are turned off, every\n"
	"event is answered, and the guest runs on.\n",
	.run = run_trace,
};
