// SPDX-License-Identifier: GPL-2.0-only
/* kvmi pause --cr: not now, but where the guest writes a control register. */
#include <errno.h>

#include "pause.h"

int pause_at_option(struct pause_at *at, int opt)
{
	if (opt == 'c')
		return trace_choose_crs(optarg, &at->choice);
	at->somewhere = true;
	return parse_range("--rip: ", optarg, &at->first, &at->last);
}

int pause_at_check(const struct pause_at *at)
{
	if (at->choice.crs || !at->somewhere)
		return CLI_OK;
	out_error("--rip: it tells where a register of --cr is written");
	return CLI_USAGE;
}

/* Switching off goes on after a failure, and returns the first. */
static int switch_all(const struct pause_at *at, struct kvmintro *k, uint32_t vcpus,
		      bool on)
{
	const char *kind;
	uint32_t vcpu;
	int first = 0, r;

	for (vcpu = 0; vcpu < vcpus && !(on && first); vcpu++) {
		r = trace_switch(&at->choice, k, vcpu, on, &kind);
		first = first ? first : r;
	}
	return first;
}

static bool is_there(const struct pause_at *at, const struct kvmintro_event *ev)
{
	const uint64_t rip = ev->arch.regs.rip;

	return ev->id == KVMI_VCPU_EVENT_CR &&
	       (!at->somewhere || (rip >= at->first && rip <= at->last));
}

/* 1 with the event of the write, which is not answered yet; 0: it did not come. */
static int follow(const struct pause_at *at, struct follow *f, struct kvmintro_event *ev)
{
	int r = 0;

	while (r >= 0 && !follow_ended(f)) {
		r = follow_next(f, ev);
		if (r <= 0 || follow_unhook(f, ev))
			continue;
		if (is_there(at, ev))
			return 1;
		r = kvmintro_continue(f->cli->k, ev);
	}
	return r < 0 ? r : 0;
}

static void report(const struct follow *f, const struct kvmintro_event *ev)
{
	if (f->cli->json)
		out_json(trace_json(ev, follow_seconds(f)));
	else
		trace_print(ev, follow_seconds(f));
}

/* With all that the vCPUs sent before they were switched off answered. */
static int stop(const struct pause_at *at, struct follow *f, uint32_t vcpus)
{
	struct kvmintro_event ev;
	int r;

	follow_shield(f);
	r = switch_all(at, f->cli->k, vcpus, false);
	while (r >= 0 && kvmintro_pending_events(f->cli->k)) {
		r = kvmintro_wait_event(f->cli->k, 0, &ev);
		if (r > 0)
			r = kvmintro_continue(f->cli->k, &ev);
	}
	follow_finish(f);
	return r < 0 ? out_failed(f->cli, "pause: switching off") : CLI_OK;
}

int pause_at(struct cli *cli, const struct pause_at *at)
{
	struct follow f = { .duration = -1 };
	struct kvmintro_event ev;
	uint32_t vcpus = 0;
	int r, failed = CLI_OK;

	if (follow_connect(&f, cli, "pause"))
		return CLI_FAILED;
	follow_start(&f);
	r = kvmintro_get_vcpu_count(cli->k, &vcpus);
	if (!r)
		r = switch_all(at, cli->k, vcpus, true);
	if (!r)
		r = follow(at, &f, &ev);
	if (r > 0) {
		report(&f, &ev);
		failed = pause_all(cli, &ev);
	} else if (r < 0) {
		failed = out_failed(cli, "pause");
	} else {
		out_error("pause: ended before the guest came there");
		failed = CLI_FAILED;
	}
	if (kvmintro_fd(cli->k) >= 0 && stop(at, &f, vcpus))
		failed = CLI_FAILED;
	return failed;
}
